import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { openKeys } from '#src/adapters/secrets/keys.ts';
import { sealKey, unseal } from '#src/adapters/secrets/seal.ts';
import { openSecrets } from '#src/adapters/secrets/secrets.ts';
import { openStore } from '#src/adapters/store/store.ts';
import type { Store } from '#src/engine/store.ts';
import { keyText, keysOf } from '#test/adapters/secrets/keyring.ts';
import { type Place, databases } from '#test/adapters/store/databases.ts';
import { push, shop } from '#test/contracts/store-fixtures.ts';
import { openSite } from '#test/web/site.ts';
import { type Ended, slipway } from './slipway.ts';

// Each starts several processes, and the machine may be busy.
jest.setTimeout(180_000);

const clock = { now: () => Date.now() };
const asked = { repository: shop, trigger: push('a'.repeat(40)), environment: null };
/** Looked for everywhere. */
const value = 'hunter22-correct-horse';

let folder: string;
/** What the server opened: it runs on while the commands run. */
let store: Store;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'slipway-secret-'));
});
afterEach(async () => {
  await store.close();
  await rm(folder, { recursive: true });
});

for (const each of databases) {
  describe(`slipway secret on ${each.name}`, () => {
    let env: Record<string, string>;
    let remove: () => Promise<void>;
    beforeAll(() => each.start(), 60_000);
    afterAll(() => each.end());
    beforeEach(async () => {
      const made = await each.make();
      remove = made.remove;
      const place: Place = 'url' in made.place ? made.place : { path: join(folder, 'slipway.db') };
      store = await openStore({ ...place, clock });
      env = {
        SLIPWAY_HOME: folder,
        ...('url' in place && { DATABASE_URL: place.url, SLIPWAY_SECRET_KEY: keyText(1) }),
      };
    });
    afterEach(() => remove());

    const run = (args: string, input: string | Buffer = ''): Promise<Ended> =>
      slipway(folder, args.split(' '), { input, env });

    function server() {
      const given = env['SLIPWAY_SECRET_KEY'] ?? null;
      const keys = openKeys({ given, file: null, own: { path: join(folder, 'secret.key'), isUsed: given === null } });
      return openSecrets({ store: store.secrets, keys, clock });
    }

    it('sets, lists and removes, beside a server that runs; the value is nowhere but with the server', async () => {
      const set = await run(
        'secret set Acme/Shop NPM_TOKEN --branch main --branch release/* --event push',
        `${value}\n`,
      );
      expect(set).toEqual({
        code: 0,
        err: expect.stringMatching(/^slipway: using the data(base)? [^\n]+\n$/) as unknown,
        out: 'NPM_TOKEN of acme/shop is set (branches: main, release/*; events: push). Jobs that begin from now on get it.\n',
      });
      expect((await server().values(asked, ['NPM_TOKEN'])).get('NPM_TOKEN')).toBe(value);
      const all = [
        set,
        await run('secret set acme ORG', value),
        await run('secret list ACME/shop'),
        await run('audit'),
      ];
      expect(all[2]?.out).toMatch(
        /^NPM_TOKEN +acme\/shop +branches: main, release\/\*; events: push +set 20\d\d-.* UTC by \S+\nORG +the owner acme +no limits +set .*\n$/,
      );
      await run('secret set evil/x OTHER', value);
      const every = await run('secret list');
      expect(every.out).toMatch(/^ORG .*\nNPM_TOKEN .*\nOTHER .*\n$/);
      all.push(every);
      await run('secret remove evil/x OTHER');
      expect(await run('audit --repository acme/nope')).toMatchObject({ out: '', err: 'No records.\n' });
      expect((await run('secret list other/shop')).out).toContain('There are no secrets of other/shop.');
      all.push(await run('secret remove acme/shop NPM_TOKEN'));
      expect(all.at(-1)).toMatchObject({ code: 0, err: '' });
      expect(await run('secret remove acme/shop NPM_TOKEN')).toMatchObject({ code: 1, out: '' });
      await expect(server().values(asked, ['NPM_TOKEN'])).rejects.toThrow('There is no secret NPM_TOKEN');
      expect((await server().values(asked, ['ORG'])).get('ORG')).toBe(value);

      const records = await store.audit.list(null, 9);
      expect(records.map((r) => [r.action, r.repository, r.subject, r.decision])).toEqual([
        ['secret remove', 'acme/shop', 'NPM_TOKEN', 'allowed'],
        ['secret remove', 'evil/x', 'OTHER', 'allowed'],
        ['secret set', 'evil/x', 'OTHER', 'allowed'],
        ['secret set', 'acme', 'ORG', 'allowed'],
        ['secret set', 'acme/shop', 'NPM_TOKEN', 'allowed'],
      ]);
      expect(records[0]?.actor).toMatch(/^operator \(.+\)$/);
      expect(JSON.stringify([all, records, await store.secrets.every()])).not.toContain(value);
      for (const file of await readdir(folder, { recursive: true })) {
        const bytes = await readFile(join(folder, file)).catch(() => Buffer.alloc(0));
        expect([file, bytes.includes(value)]).toEqual([file, false]);
      }
    });

    it('gives an environment its own, and tells where a secret is instead', async () => {
      await run('secret set acme/shop KEY --environment Production', 'of production');
      expect((await server().values({ ...asked, environment: 'production' }, ['KEY'])).get('KEY')).toBe(
        'of production',
      );
      expect((await run('secret remove acme/shop KEY')).err).toBe(
        'slipway: There is no secret KEY of acme/shop; the environment production of acme/shop has one.\n',
      );
      expect((await run('secret remove acme/shop KEY --environment production')).code).toBe(0);
      const again = await run('secret set acme/shop KEY', 'x'.repeat(64 * 1024));
      expect(again.code).toBe(0);
    });

    it('keeps a value as it is, but for one line break at its end', async () => {
      for (const [input, kept] of [
        ['line 1\nline 2\n\n', 'line 1\nline 2\n'],
        ['\uFEFF größer ⚓ \r\n', '\uFEFF größer ⚓ '],
      ] as const) {
        expect(await run('secret set acme/shop KEY', input)).toMatchObject({ code: 0 });
        expect((await server().values(asked, ['KEY'])).get('KEY')).toBe(kept);
      }
    });

    it('seals without a server that answers, and only for the repository', async () => {
      const sealed = await run('seal Acme/Shop', `${value}\n`);
      expect(sealed).toMatchObject({ code: 0, err: '', out: expect.stringMatching(/^sealed:v1:[\w-]+\n$/) as unknown });
      expect(await server().unseal(shop, sealed.out.trim())).toBe(value);
      await expect(server().unseal({ ...shop, name: 'other' }, sealed.out.trim())).rejects.toThrow(
        'another repository',
      );
    });
  });
}

describe('slipway secret', () => {
  const home = () => join(folder, 'home');
  beforeEach(async () => {
    await mkdir(home());
    store = await openStore({ path: join(home(), 'slipway.db'), clock });
  });
  const run = (args: readonly string[], input: string | Buffer = value, env: Record<string, string> = {}) =>
    slipway(folder, args, { input, env: { SLIPWAY_HOME: home(), ...env } });

  it.each([
    [['set', 'acme/shop', `A=${value}`], '', /name must be one that a variable can have.*read from standard input/],
    [['set', 'acme/shop', 'A', value], '', /too many arguments/],
    [['set', 'acme/shop', 'SLIPWAY_A'], value, /can't begin with SLIPWAY_: those are Slipway's own\.\n$/],
    [['set', 'acme/shop', 'A'], '', /The value is empty/],
    [['set', 'acme/shop', 'A'], Buffer.concat([Buffer.from(value), Buffer.from([0xff])]), /isn't text in UTF-8/],
    [['set', 'acme/shop', 'A'], value.repeat(30_000), /at most 65536/],
    [['set', 'acme/shop/x', 'A'], value, /is neither OWNER nor OWNER\/REPO/],
    [['set', 'acme', 'A', '--environment', 'staging'], value, /must read OWNER\/REPO/],
    [['set', 'acme/shop', 'A', '--branch', '[a'], value, /is no pattern of branches: a \[ has no \]/],
    [['set', 'acme/shop', 'A', '--event', 'release'], value, /There are: push, tag, pull_request, merge_group, deploy/],
    [['remove', 'acme/shop', 'A'], '', /There is no secret A of acme\/shop\.$/m],
  ])('refuses %j, and keeps nothing', async (args, input, message) => {
    const ended = await run(['secret', ...args], input);
    expect(ended).toMatchObject({ code: 1, out: '', err: expect.stringMatching(message) as unknown });
    expect(ended.err).not.toContain(value);
    expect(await store.secrets.every()).toEqual([]);
    expect(await store.audit.list(null, 9)).toEqual([]);
  });

  it('warns of a value that no mask can hide', async () => {
    const { code, err } = await run(['secret', 'set', 'acme/shop', 'PIN'], '123\n');
    expect([code, err]).toEqual([0, expect.stringContaining('fewer than 4 characters') as unknown]);
    expect((await run(['secret', 'set', 'acme/shop', 'PIN'], '1234\n')).err).toBe(
      `slipway: using the data in ${home()}\n`,
    );
  });

  it('makes a key for its user alone with the first secret, and not before', async () => {
    await run(['secret', 'list', 'acme/shop']);
    await run(['audit']);
    expect(await readdir(home())).not.toContain('secret.key');
    await run(['secret', 'set', 'acme/shop', 'A']);
    expect((await stat(join(home(), 'secret.key'))).mode & 0o777).toBe(0o600);
    await chmod(join(home(), 'secret.key'), 0o644);
    for (const args of [
      ['secret', 'list', 'acme/shop'],
      ['secret', 'set', 'acme/shop', 'B'],
      ['seal', 'acme/shop'],
    ]) {
      const refused = await run(args);
      expect(refused).toMatchObject({ code: 2, out: '' });
      expect(refused.err).toContain(`run "chmod 600 ${join(home(), 'secret.key')}"`);
    }
  });

  it('encrypts all anew when a key is put before the old one, and then needs the old one no more', async () => {
    const file = join(folder, 'keys');
    const env = { SLIPWAY_SECRET_KEY_FILE: file };
    await writeFile(file, keyText(1), { mode: 0o600 });
    for (const name of ['A', 'B']) await run(['secret', 'set', 'acme/shop', name], value, env);
    const [old, fresh] = keysOf(1, 2).map((key) => key.id);
    await writeFile(file, `${keyText(2)}\n${keyText(1)}\n`);
    const rotated = await run(['secret', 'rotate'], '', env);
    expect(rotated).toMatchObject({ code: 0, err: '' });
    expect(rotated.out).toContain(`Key ${fresh}: 2 encrypted again, 0 were already, 0 can't be opened.`);
    expect(rotated.out).toContain(`No secret needs the key ${old} any more. Sealed values in pipeline files may`);
    expect((await run(['secret', 'rotate'], '', env)).out).toContain('0 encrypted again, 2 were already');
    await writeFile(file, keyText(2));
    expect((await run(['secret', 'rotate'], '', env)).code).toBe(0);
    await writeFile(file, keyText(3));
    const lost = await run(['secret', 'rotate'], '', env);
    expect(lost).toMatchObject({ code: 1 });
    expect(lost.err).toContain(`A of acme/shop is encrypted with the key ${fresh}, which is missing (there is`);
    expect(lost.err).toContain(`the keys are read from the file ${file}`);
    expect(lost.err).not.toContain(keyText(2).slice(0, 20));
  });

  it('where there is no data, makes none, and says where to run it', async () => {
    for (const args of [['secret', 'set', 'acme/shop', 'A'], ['audit'], ['seal', 'acme/shop']]) {
      const elsewhere = await slipway(folder, args, { input: value });
      expect(elsewhere).toMatchObject({ code: 1, out: '' });
      expect(elsewhere.err).toContain(`There is no data of a Slipway server in ${join(folder, '.slipway')}.`);
    }
    expect(await readdir(folder)).toEqual(['home']);
  });

  it('reads the settings from .env as the server does', async () => {
    await writeFile(join(folder, '.env'), `SLIPWAY_HOME=${home()}\n`);
    expect(await slipway(folder, ['secret', 'set', 'acme/shop', 'A'], { input: value })).toMatchObject({ code: 0 });
  });

  it("leaves another user's data alone, and says as whom to run", async () => {
    const database = join(home(), 'slipway.db');
    // Only root can give files away; to everybody else, root is another user.
    const other = process.getuid?.() === 0 ? 12_345 : 0;
    if (other === 0) {
      await rename(database, `${database}.own`);
      await symlink('/etc/passwd', database);
    } else {
      await chown(database, other, other);
    }
    const refused = await run(['secret', 'set', 'acme/shop', 'A']);
    expect(refused).toMatchObject({ code: 1, out: '' });
    expect(refused.err).toContain(`sudo -u '#${other}'`);
    expect(await store.secrets.every()).toEqual([]);
  });
});

describe('slipway seal --server', () => {
  const key = keysOf(1)[0];
  if (key === undefined) throw new Error('no key');
  const ask = (server: string, repository = 'acme/shop') =>
    slipway(folder, ['seal', '--server', server, repository], { input: `${value}\n` });
  beforeEach(async () => {
    store = await openStore({ path: ':memory:', clock });
  });

  it('takes the key from the server, and nothing of the server is needed here', async () => {
    await using site = await openSite({ sealKey: async (repository) => sealKey(key, repository) });
    const sealed = await ask(`${site.url}/`, 'Acme/Shop');
    expect(sealed).toMatchObject({ code: 0, err: '' });
    expect(unseal([key], 'acme/shop', sealed.out.trim())).toBe(value);
    expect(await readdir(folder)).toEqual([]);
  });

  it('seals nothing with the key of another repository, or with what is no key', async () => {
    await using other = await openSite({ sealKey: async () => sealKey(key, 'evil/repo') });
    await using none = await openSite({ sealKey: async () => '<html>' });
    const refused = await ask(other.url);
    expect(refused).toMatchObject({ code: 1, out: '' });
    expect(refused.err).toBe('slipway: The seal key belongs to evil/repo, not to acme/shop.\n');
    expect((await ask(none.url)).err).toContain('it answers something else. Is this the address');
    expect((await ask(`${none.url}/elsewhere`)).err).toContain('it answers 404');
    expect((await ask('ci.example')).err).toContain('--server must be the address of the server');
    expect((await ask('http://127.0.0.1:1')).err).toContain('gave no key');
  });
});

describe('slipway audit', () => {
  const record = (at: number, subject: string, repository = 'acme/shop') => ({
    at,
    actor: 'eve',
    action: 'deploy',
    repository,
    subject,
    decision: 'refused' as const,
    reason: 'write permission is missing',
  });
  beforeEach(async () => {
    store = await openStore({ path: join(folder, 'slipway.db'), clock });
  });
  const run = (...args: string[]) => slipway(folder, ['audit', ...args], { env: { SLIPWAY_HOME: folder } });

  it('exports what was decided, oldest first, of a time and of a repository', async () => {
    const day = 86_400_000;
    const now = Date.now();
    await store.audit.append(record(now - 8 * day, 'old'));
    await store.audit.append(record(now - 6 * day, 'staging', 'Acme/Shop'));
    await store.audit.append(record(now - day, 'production', 'acme/other'));
    const all = await run();
    expect(all.out.split('\n')).toEqual([
      expect.stringMatching(/^20\S+Z refused eve: deploy acme\/shop old: write permission is missing$/),
      expect.stringContaining('Acme/Shop staging'),
      expect.stringContaining('acme/other production'),
      '',
    ]);
    expect((await run('--since', '7d')).out.split('\n')).toHaveLength(3);
    expect((await run('--since', new Date(now - 2 * day).toISOString())).out.split('\n')).toHaveLength(2);
    expect((await run('--since', new Date(now - 2 * day).toISOString().slice(0, 10))).out).toContain('production');
    const lines = (await run('--json', '--repository', 'acme/SHOP')).out.trim().split('\n');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      record(now - 8 * day, 'old'),
      record(now - 6 * day, 'staging', 'Acme/Shop'),
    ]);
    for (const since of ['yesterday', '2026-13-45']) {
      expect(await run(`--since=${since}`)).toMatchObject({ code: 1, out: '' });
    }
  });

  it('writes one line a record, whatever strangers called their things', async () => {
    const evil = 'x\n2026-01-01T00:00:00.000Z allowed ada: deploy\r\u001b[2K\u009b1A\u2028\u202e"\\';
    await store.audit.append(record(1000, evil));
    const { out } = await run();
    expect(out.split('\n')).toHaveLength(2);
    expect(out).toContain('x\\u000a2026-01-01');
    expect(out).toContain('\\u000d\\u001b[2K\\u009b1A\\u2028\\u202e');
    const json = (await run('--json')).out;
    expect(json.split('\n')).toHaveLength(2);
    expect(json).not.toMatch(/[\u0080-\u009f\u2028\u202e]/);
    expect(JSON.parse(json)).toMatchObject({ subject: evil });
  });
});
