import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type SecretKeeper, formerMs, openSecrets } from '#src/adapters/secrets/secrets.ts';
import { openKeys, type KeyRing } from '#src/adapters/secrets/keys.ts';
import { seal } from '#src/adapters/secrets/seal.ts';
import { openStore } from '#src/adapters/store/store.ts';
import type { SecretQuery } from '#src/engine/ports.ts';
import type { Store } from '#src/engine/store.ts';
import { PlatformError, UserError } from '#src/model/outcome.ts';
import type { SecretLimits, SecretScope } from '#src/model/secret.ts';
import { push, repositoryNamed, shop } from '#test/contracts/store-fixtures.ts';
import { keysOf, ringOf } from './keyring.ts';

const noLimits: SecretLimits = { branches: [], events: [] };
const ofShop: SecretScope = { kind: 'repository', repository: 'acme/shop' };
const query: SecretQuery = { repository: shop, trigger: push('a'.repeat(40)), environment: null };

let store: Store;
let now: number;
beforeEach(async () => {
  now = 1_000_000_000;
  store = await openStore({ path: ':memory:', clock: { now: () => now } });
});
afterEach(() => store.close());

function keeper(keys: KeyRing = ringOf(1)): SecretKeeper {
  return openSecrets({ store: store.secrets, keys, clock: { now: () => now } });
}

function set(secrets: SecretKeeper, name: string, value: string, scope = ofShop, limits = noLimits) {
  return secrets.set({ scope, name, limits, value, setBy: 'ada' });
}

async function messageOf(work: Promise<unknown>, kind: typeof UserError | typeof PlatformError): Promise<string> {
  const error = await work.then(
    () => null,
    (error: unknown) => error,
  );
  expect(error).toBeInstanceOf(kind);
  return (error as Error).message;
}

describe('the secrets of jobs', () => {
  it('are given under their names, the most specific of each, and lie encrypted', async () => {
    const secrets = keeper();
    await set(secrets, 'A', 'of the owner', { kind: 'owner', owner: 'acme' });
    await set(secrets, 'B', 'of the owner, too', { kind: 'owner', owner: 'acme' });
    await set(secrets, 'B', 'of the repository: größer ⚓\nzwei');
    await set(secrets, 'B', 'of staging', { kind: 'environment', repository: 'acme/shop', environment: 'staging' });
    expect(await secrets.values(query, ['A', 'B', 'A'])).toEqual(
      new Map([
        ['A', 'of the owner'],
        ['B', 'of the repository: größer ⚓\nzwei'],
      ]),
    );
    expect((await secrets.values({ ...query, environment: 'Staging' }, ['B'])).get('B')).toBe('of staging');
    expect(await secrets.values(query, [])).toEqual(new Map());
    for (const { ciphertext } of await store.secrets.every()) {
      expect(ciphertext).toMatch(/^v1:[0-9a-f]{8}:[\w-]+$/);
      expect(Buffer.from(ciphertext.split(':')[2] ?? '', 'base64url').toString()).not.toMatch(/owner|repo|staging/);
    }
  });

  it("are no other repository's, whose name begins alike or whose owner differs", async () => {
    const secrets = keeper();
    await set(secrets, 'A', 'value');
    for (const name of ['acme/shop2', 'acme/sho', 'evil/shop', 'evil/acme', 'acme/acme']) {
      const asked = secrets.values({ ...query, repository: repositoryNamed(name, 7) }, ['A']);
      expect(await messageOf(asked, UserError)).toContain(`There is no secret A for ${name}.`);
    }
  });

  it('tells all that is wrong at once, without any value', async () => {
    const secrets = keeper();
    await set(secrets, 'DEPLOY_KEY', 'very-secret-1');
    await set(secrets, 'LIMITED', 'very-secret-2', ofShop, { branches: ['release/*'], events: [] });
    const message = await messageOf(secrets.values(query, ['DEPLOY_KEY', 'DEPLOY_KEX', 'LIMITED']), UserError);
    expect(message).toMatch(/^No secret DEPLOY_KEX \(did you mean DEPLOY_KEY\?\), LIMITED for .*\.\n/);
    expect(message).toContain('limited to the branch release/*');
    expect(message).not.toContain('very-secret');
  });

  it('once replaced or removed are no longer given, but known for a day to whoever masks', async () => {
    const secrets = keeper();
    await set(secrets, 'A', 'first');
    await set(secrets, 'OTHER', 'other');
    now += 1000;
    await set(secrets, 'A', 'second');
    await secrets.remove(ofShop, 'OTHER');
    expect((await secrets.values(query, ['A'])).get('A')).toBe('second');
    expect(await secrets.former(query, ['A'])).toEqual(['first']);
    expect((await secrets.former(query, ['A', 'OTHER'])).toSorted()).toEqual(['first', 'other']);
    await messageOf(secrets.values(query, ['OTHER']), UserError);
    now += formerMs;
    expect(await secrets.former(query, ['A'])).toEqual(['first']);
    now += 1;
    expect(await secrets.former(query, ['A'])).toEqual([]);
    await store.secrets.forget(now - formerMs);
    expect(await store.secrets.every()).toHaveLength(1);
  });

  it('are not given when the database was tampered with', async () => {
    const secrets = keeper();
    await set(secrets, 'A', 'very-secret-1', ofShop, { branches: ['nothing'], events: [] });
    const [stored] = await store.secrets.every();
    if (stored === undefined) throw new Error('nothing stored');
    // As somebody would who writes to the database: the limits away, and the secret over to a repository of one's own.
    await store.secrets.put({ ...stored, limits: noLimits });
    await store.secrets.put({ ...stored, limits: noLimits, scope: { kind: 'repository', repository: 'evil/repo' } });
    const evil = { ...query, repository: repositoryNamed('evil/repo', 9) };
    for (const asked of [secrets.values(query, ['A']), secrets.values(evil, ['A'])]) {
      expect(await messageOf(asked, PlatformError)).toContain('was changed, or moved from another secret');
    }
  });

  it('without their key say which is missing; with it again all is well', async () => {
    await set(keeper(ringOf(1)), 'A', 'value');
    const message = await messageOf(keeper(ringOf(2)).values(query, ['A']), PlatformError);
    expect(message).toContain(`encrypted with the key ${keysOf(1)[0]?.id}, which is missing (there is `);
    expect(await keeper(ringOf(2)).missingKeys()).toEqual([keysOf(1)[0]?.id]);
    expect(await keeper(ringOf(2, 1)).missingKeys()).toEqual([]);
    expect((await keeper(ringOf(2, 1)).values(query, ['A'])).get('A')).toBe('value');
    // A job that was masked with it goes on.
    now += 1;
    await keeper(ringOf(1)).remove(ofShop, 'A');
    expect(await keeper(ringOf(2)).former(query, ['A'])).toEqual([]);
  });

  it('are not joined by one with a new key when all keys are lost', async () => {
    await set(keeper(ringOf(1)), 'A', 'value');
    const lost = openKeys({ given: null, file: null, own: { path: '/nowhere/secret.key', isUsed: true } });
    const message = await messageOf(set(keeper(lost), 'B', 'value'), PlatformError);
    expect(message).toContain(
      `encrypted with the key ${keysOf(1)[0]?.id}, but the file /nowhere/secret.key holds none`,
    );
    await messageOf(keeper(lost).sealKey('acme/shop'), PlatformError);
    await messageOf(keeper(lost).rotate(), PlatformError);
    // Once those are removed, as the message says, a new key may be made.
    expect(await keeper(lost).remove(ofShop, 'A')).toBe(true);
    expect(await messageOf(set(keeper(lost), 'B', 'value'), PlatformError)).toContain(
      "/nowhere/secret.key can't be made",
    );
  });
});

describe('the rotation of keys', () => {
  const ids = (...bytes: number[]) => keysOf(...bytes).map((key) => key.id);

  it('encrypts everything anew, replaced values too, and again changes nothing', async () => {
    await set(keeper(ringOf(1)), 'A', 'first');
    await set(keeper(ringOf(1)), 'A', 'second');
    await set(keeper(ringOf(2, 1)), 'B', 'new');
    const before = await store.secrets.every();
    expect(await keeper(ringOf(2, 1)).rotate()).toEqual({
      key: ids(2)[0],
      changed: 1,
      unchanged: 1,
      failures: [],
      unused: ids(1),
    });
    const after = await store.secrets.every();
    const same = expect.any(String) as unknown as string;
    expect(after).toEqual(before.map((secret) => ({ ...secret, ciphertext: same })));
    const alone = keeper(ringOf(2));
    expect(await alone.values(query, ['A', 'B'])).toEqual(
      new Map([
        ['A', 'second'],
        ['B', 'new'],
      ]),
    );
    expect(await alone.former(query, ['A'])).toEqual(['first']);
    expect(await alone.rotate()).toMatchObject({ changed: 0, unchanged: 2, unused: [] });
  });

  it('says what it can not open, and does the rest', async () => {
    await set(keeper(ringOf(1)), 'A', 'a');
    await set(keeper(ringOf(3)), 'B', 'b');
    const { changed, failures, unused } = await keeper(ringOf(2, 1)).rotate();
    expect([changed, unused]).toEqual([1, ids(1)]);
    expect(failures).toEqual([expect.stringContaining(`B of acme/shop is encrypted with the key ${ids(3)[0]}`)]);
    expect((await keeper(ringOf(3)).values(query, ['B'])).get('B')).toBe('b');
  });

  it('disturbs nobody who reads or sets meanwhile', async () => {
    const names = Array.from({ length: 60 }, (_, i) => `S${i}`);
    for (const name of names) await set(keeper(ringOf(1)), name, 'before');
    const server = keeper(ringOf(2, 1));
    const setting = (async () => {
      for (const name of names.slice(0, 30)) await set(keeper(ringOf(2, 1)), name, 'during');
    })();
    const reading = (async () => {
      for (let i = 0; i < 20; i += 1) {
        for (const value of (await server.values(query, names)).values()) expect(value).toMatch(/before|during/);
      }
    })();
    await Promise.all([keeper(ringOf(2, 1)).rotate(), setting, reading, keeper(ringOf(2, 1)).rotate()]);
    expect([...(await keeper(ringOf(2)).values(query, names)).values()].filter((v) => v === 'during')).toHaveLength(30);
  });
});

describe('values sealed for a repository', () => {
  it('are opened for it alone, also after a new key came', async () => {
    const sealed = seal(await keeper(ringOf(1)).sealKey('Acme/Shop'), 'acme/shop', 'hunter22');
    expect(await keeper(ringOf(1)).unseal(shop, sealed)).toBe('hunter22');
    expect(await keeper(ringOf(2, 1)).unseal(shop, sealed)).toBe('hunter22');
    const other = repositoryNamed('acme/other', 8);
    const message = await messageOf(keeper(ringOf(1)).unseal(other, sealed), UserError);
    expect(message).toContain('sealed for another repository or with another key');
    await messageOf(keeper(ringOf(2)).unseal(shop, sealed), UserError);
  });

  it('where the servers have no key, say which setting is missing; what is no sealed value is told as that', async () => {
    const keys = openKeys({ given: null, file: null, own: { path: '/nowhere', isUsed: false } });
    const sealed = seal(await keeper(ringOf(1)).sealKey('acme/shop'), 'acme/shop', 'hunter22');
    // People on GitHub read the message, the operator its cause.
    await expect(keeper(keys).unseal(shop, sealed)).rejects.toMatchObject({
      name: 'PlatformError',
      message: "The server's key for secrets can't be used. The operator finds the reason in its log.",
      cause: { message: expect.stringContaining('set SLIPWAY_SECRET_KEY') as unknown },
    });
    expect(await messageOf(keeper(keys).unseal(shop, 'plain'), UserError)).toContain('This is no sealed value');
  });
});
