import type { Secrets } from '#src/engine/ports.ts';
import { UserError } from '#src/model/outcome.ts';

/** Secrets from a list, given to everybody. `replaced` are those that had the names before. */
export function fakeSecrets(
  values: Readonly<Record<string, string>> = {},
  replaced: Readonly<Record<string, string>> = {},
): Secrets {
  return {
    async values(_query, names) {
      return new Map(
        names.map((name) => {
          const value = values[name];
          if (value === undefined) throw new UserError(`There is no secret ${name}.`);
          return [name, value] as const;
        }),
      );
    },
    async unseal(_repository, sealed) {
      if (!sealed.startsWith('sealed:')) throw new UserError('That is no sealed text.');
      return sealed.slice('sealed:'.length);
    },
    former: async (_query, names) => names.flatMap((name) => replaced[name] ?? []),
  };
}
