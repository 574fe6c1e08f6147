import type { Secrets } from '#src/engine/ports.ts';
import { UserError } from '#src/model/outcome.ts';

/**
 * Secrets for `slipway run`: the variables of the person's shell that were named, and no others. UserError if one of them
 * isn't set.
 */
export function shellSecrets(
  names: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Secrets {
  const given = new Map(
    names.map((name) => {
      const value = environment[name];
      if (value) return [name, value] as const;
      throw new UserError(`--secret ${name}: your shell has no variable ${name}, or it is empty. Set and export it.`);
    }),
  );
  return {
    async values(_query, wanted) {
      const missing = wanted.filter((name) => !given.has(name));
      if (missing.length === 0) return new Map(wanted.map((name) => [name, given.get(name) ?? '']));
      const options = missing.map((name) => `--secret ${name}`).join(' ');
      throw new UserError(
        `The pipeline uses the secret ${missing.join(', ')}, which the server keeps. "slipway run" takes secrets from your shell: export the variable and add ${options}`,
      );
    },
    async unseal() {
      throw new UserError(
        '"slipway run" can\'t open sealed values: only the server can. Run the jobs that need none, by --job NAME.',
      );
    },
    former: async () => [],
  };
}
