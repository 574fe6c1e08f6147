import { sql } from 'kysely';
import type { SealedSecret, SecretStore } from '#src/engine/store.ts';
import type { SecretScope } from '#src/model/secret.ts';
import type { Dialect } from './migrate.ts';
import type { Database, SecretsTable } from './schema.ts';

/** Ciphertexts of secrets. A replaced one stays for a while, because running jobs still have its value. */
export function secretStore(db: Database, newId: () => string, dialect: Dialect): SecretStore {
  return {
    async put({ scope, name, limits, setAt, setBy, ciphertext }) {
      const place = placeOf(scope);
      await db.transaction().execute(async (tx) => {
        // One after another: of two who set the same secret at once, the later one must find the other's row.
        if (dialect === 'postgres') await sql`lock table secrets in share row exclusive mode`.execute(tx);
        await replace(tx, place, name, setAt);
        await tx
          .insertInto('secrets')
          .values({
            ...place,
            id: newId(),
            name,
            ciphertext,
            limits: JSON.stringify(limits),
            set_at: setAt,
            set_by: setBy,
            replaced_at: null,
          })
          .execute();
      });
    },

    remove: async (scope, name, at) => (await replace(db, placeOf(scope), name, at)) > 0,

    async of(owner, repository) {
      const rows = await db
        .selectFrom('secrets')
        .selectAll()
        .where('owner', '=', owner.toLowerCase())
        .where('repository', 'in', repository === null ? [''] : ['', split(repository).repository])
        .orderBy('name')
        .orderBy('id')
        .execute();
      return rows.map(toSecret);
    },

    async every() {
      const rows = await db.selectFrom('secrets').selectAll().orderBy('id').execute();
      return rows.map(toSecret);
    },

    async rewrap(secret, ciphertext) {
      const place = placeOf(secret.scope);
      await db
        .updateTable('secrets')
        .set({ ciphertext })
        .where('owner', '=', place.owner)
        .where('repository', '=', place.repository)
        .where('environment', '=', place.environment)
        .where('name', '=', secret.name)
        .where('ciphertext', '=', secret.ciphertext)
        .execute();
    },

    async forget(before) {
      const { numDeletedRows } = await db.deleteFrom('secrets').where('replaced_at', '<', before).executeTakeFirst();
      return Number(numDeletedRows);
    },
  };
}

type Place = Pick<SecretsTable, 'owner' | 'repository' | 'environment'>;

async function replace(db: Database, place: Place, name: string, at: number): Promise<number> {
  const { numUpdatedRows } = await db
    .updateTable('secrets')
    .set({ replaced_at: at })
    .where('owner', '=', place.owner)
    .where('repository', '=', place.repository)
    .where('environment', '=', place.environment)
    .where('name', '=', name)
    .where(sql<boolean>`replaced_at is null`)
    .executeTakeFirst();
  return Number(numUpdatedRows);
}

function placeOf(scope: SecretScope): Place {
  switch (scope.kind) {
    case 'owner':
      return { ...key(scope.owner, ''), environment: '' };
    case 'repository':
      return { ...split(scope.repository), environment: '' };
    case 'environment':
      return { ...split(scope.repository), environment: scope.environment.toLowerCase() };
  }
}

function split(repository: string): { readonly owner: string; readonly repository: string } {
  const [owner = '', name = ''] = repository.split('/');
  return key(owner, name);
}

function key(owner: string, repository: string): { readonly owner: string; readonly repository: string } {
  return { owner: owner.toLowerCase(), repository: repository.toLowerCase() };
}

function toSecret(row: SecretsTable): SealedSecret {
  const repository = `${row.owner}/${row.repository}`;
  const scope: SecretScope =
    row.repository === ''
      ? { kind: 'owner', owner: row.owner }
      : row.environment === ''
        ? { kind: 'repository', repository }
        : { kind: 'environment', repository, environment: row.environment };
  return {
    scope,
    name: row.name,
    limits: JSON.parse(row.limits),
    setAt: row.set_at,
    setBy: row.set_by,
    ciphertext: row.ciphertext,
    replacedAt: row.replaced_at,
  };
}
