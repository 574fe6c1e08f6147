import { expect, it } from '@jest/globals';
import type { Store } from '#src/engine/store.ts';
import type { SecretScope } from '#src/model/secret.ts';

/** The part of the Store's contract that is about secrets. */
export function secretsContract(current: () => Store, reopen: () => Promise<Store>): void {
  const ofShop: SecretScope = { kind: 'repository', repository: 'acme/shop' };
  const ofAcme: SecretScope = { kind: 'owner', owner: 'acme' };
  const ofStaging: SecretScope = { kind: 'environment', repository: 'acme/shop', environment: 'staging' };
  const secret = (name: string, scope: SecretScope, ciphertext: string, setAt = 1000) => ({
    scope,
    name,
    limits: { branches: ['main', 'größe/*'], events: ['push'] },
    setAt,
    setBy: 'ada',
    ciphertext,
  });
  const texts = async (owner: string, repository: string | null) =>
    (await current().secrets.of(owner, repository)).map((one) => one.ciphertext).toSorted();

  it('keeps secrets with all that belongs to them, also after a restart', async () => {
    await current().secrets.put(secret('TOKEN', ofShop, 'c1'));
    const { secrets } = await reopen();
    expect(await secrets.of('acme', 'acme/shop')).toEqual([{ ...secret('TOKEN', ofShop, 'c1'), replacedAt: null }]);
    expect(await secrets.every()).toHaveLength(1);
  });

  it("answers those of the owner, the repository and its environments, and nobody else's", async () => {
    const { secrets } = current();
    await secrets.put(secret('A', ofAcme, 'owner'));
    await secrets.put(secret('A', ofShop, 'shop'));
    await secrets.put(secret('A', ofStaging, 'staging'));
    await secrets.put(secret('A', { ...ofStaging, environment: 'production' }, 'production'));
    await secrets.put(secret('A', { kind: 'repository', repository: 'acme/other' }, 'other'));
    await secrets.put(secret('A', { kind: 'repository', repository: 'evil/shop' }, 'evil/shop'));
    await secrets.put(secret('A', { kind: 'owner', owner: 'shop' }, 'the owner shop'));
    await secrets.put(secret('a', ofShop, 'small a'));
    expect(await texts('acme', 'acme/shop')).toEqual(['owner', 'production', 'shop', 'small a', 'staging']);
    expect(await texts('ACME', 'Acme/Shop')).toEqual(['owner', 'production', 'shop', 'small a', 'staging']);
    expect(await texts('acme', null)).toEqual(['owner']);
    expect(await texts('acme', 'acme/none')).toEqual(['owner']);
    expect(await texts('none', 'none/shop')).toEqual([]);
    const scopes = (await secrets.of('acme', 'acme/shop')).map((one) => one.scope);
    expect(scopes).toEqual(expect.arrayContaining([ofAcme, ofShop, ofStaging]));
    expect(await secrets.every()).toHaveLength(8);
  });

  it('replaces a secret, whatever letters its place is written in, and keeps the former until it is forgotten', async () => {
    const { secrets } = current();
    await secrets.put(
      secret('A', { kind: 'environment', repository: 'Acme/Shop', environment: 'Staging' }, 'first', 1000),
    );
    await secrets.put(secret('A', ofStaging, 'second', 2000));
    await secrets.put(secret('A', ofShop, 'not this one', 2000));
    const found = (await secrets.of('acme', 'acme/shop')).map((one) => `${one.ciphertext} ${one.replacedAt}`);
    expect(found.toSorted()).toEqual(['first 2000', 'not this one null', 'second null']);
    expect(await secrets.forget(2000)).toBe(0);
    expect(await secrets.forget(2001)).toBe(1);
    expect(await texts('acme', 'acme/shop')).toEqual(['not this one', 'second']);
  });

  it('removes what is there, once, and takes it back anew', async () => {
    const { secrets } = current();
    await secrets.put(secret('A', ofShop, 'first'));
    expect(await secrets.remove(ofAcme, 'A', 2000)).toBe(false);
    expect(await secrets.remove(ofStaging, 'A', 2000)).toBe(false);
    expect(await secrets.remove(ofShop, 'a', 2000)).toBe(false);
    expect(await secrets.remove({ kind: 'repository', repository: 'ACME/shop' }, 'A', 2000)).toBe(true);
    expect(await secrets.remove(ofShop, 'A', 3000)).toBe(false);
    expect(await secrets.of('acme', 'acme/shop')).toMatchObject([{ ciphertext: 'first', replacedAt: 2000 }]);
    await secrets.put(secret('A', ofShop, 'second', 4000));
    const found = (await secrets.of('acme', 'acme/shop')).map((one) => `${one.ciphertext} ${one.replacedAt}`);
    expect(found.toSorted()).toEqual(['first 2000', 'second null']);
  });

  it('has one current value when many set it at once', async () => {
    const { secrets } = current();
    await Promise.all(Array.from({ length: 12 }, (_, i) => secrets.put(secret('A', ofShop, `${i}`, 1000 + i))));
    const found = await secrets.of('acme', 'acme/shop');
    expect(found).toHaveLength(12);
    expect(found.filter((one) => one.replacedAt === null)).toHaveLength(1);
  });

  it('puts another ciphertext in place only where the known one still is', async () => {
    const { secrets } = current();
    await secrets.put(secret('A', ofShop, 'old'));
    await secrets.put(secret('A', ofStaging, 'old'));
    const [known] = (await secrets.every()).filter((one) => one.scope.kind === 'repository');
    if (known === undefined) throw new Error('not stored');
    await secrets.rewrap(known, 'new');
    expect(await texts('acme', 'acme/shop')).toEqual(['new', 'old']);
    await secrets.rewrap(known, 'newer');
    expect(await texts('acme', 'acme/shop')).toEqual(['new', 'old']);
    expect((await secrets.every()).map((one) => [one.setAt, one.setBy, one.replacedAt])).toEqual([
      [1000, 'ada', null],
      [1000, 'ada', null],
    ]);
  });

  it('exports the audit page by page, oldest first', async () => {
    const { audit } = current();
    const record = (i: number) => ({
      at: 1000 + i,
      actor: 'ada',
      action: 'deploy',
      repository: 'acme/shop',
      subject: `${i}`,
      decision: 'allowed' as const,
      reason: 'Grund — „so“',
    });
    for (let i = 0; i < 1203; i += 1) await audit.append(record(i));
    const subjects = async (since: number) => (await collect(audit.all(since))).map((one) => Number(one.subject));
    const all = Array.from({ length: 1203 }, (_, i) => i);
    expect(await subjects(0)).toEqual(all);
    expect(await subjects(1500)).toEqual(all.slice(500));
    expect(await subjects(9999)).toEqual([]);
    expect(await collect(audit.all(2202))).toEqual([record(1202)]);
  });
}

async function collect<T>(all: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const one of all) found.push(one);
  return found;
}
