import { quote } from 'shlex';
import { UserError } from '#src/model/outcome.ts';
import type { GivenSecret } from '#src/model/secret.ts';

/** A folder in memory in a job's container, for secrets. */
export const SECRETS = '/run/slipway';

/** Whoever else runs in the container doesn't read it; in a subshell, for the job has an umask of its own. */
const write = (path: string, text: string) => `(umask 077; command printf %s ${quote(text)} >|${path})`;

/**
 * Lines of the message that a job's shell reads through the FIFO, which is neither a file nor an argument: they export what
 * the whole job gets, and write into memory what is a file and what a step gets later. Printed by the shell's own printf,
 * for any other is a process with the value among its arguments. Throws UserError if a value can't be handed over.
 */
export function handOver(given: readonly GivenSecret[]): readonly string[] {
  if (given.length === 0) return [];
  for (const secret of given) check(secret);
  const steps = [...new Set(given.flatMap((secret) => secret.steps ?? []))];
  const usesPrintf = steps.length > 0 || given.some(({ file }) => file);
  return [
    ...(usesPrintf ? [`case $(command -v printf) in printf) ;; *) ${fail(NO_PRINTF)} ;; esac`] : []),
    ...given.filter((secret) => secret.steps === null).map((secret) => `${assign(secret)} || ${fail(FULL)}`),
    ...steps.map((step) => {
      const lines = ofStep(given, step).map((secret) => `${assign(secret)} || return 1`);
      return `${write(stepFile(step), lines.join('\n'))} || ${fail(FULL)}`;
    }),
  ];
}

const NO_PRINTF =
  "Slipway: the image's shell has no printf of its own, so secrets can't be handed over as files or to steps";
const FULL = `Slipway: the secrets can't be written into memory (${SECRETS})`;
const GONE = 'Slipway: the secrets of this step are gone: a step before it removed them';

function fail(message: string): string {
  return `{ echo ${quote(message)}; exit 1; }`;
}

/**
 * Lines of the job's script around a step: what gives it its secrets and what takes them away. `command` keeps a shell
 * alive that would die of a failing builtin; nothing is traced by `set -x`.
 */
export function aroundStep(
  given: readonly GivenSecret[],
  step: number,
): { readonly before: readonly string[]; readonly after: readonly string[] } {
  const own = ofStep(given, step);
  if (own.length === 0) return { before: [], after: [] };
  const files = [stepFile(step), ...own.filter(({ file }) => file).map(({ variable }) => fileOf(variable))];
  const empty = files.map((file) => `: >|${file}`).join('; ');
  const variables = own.map(({ variable }) => variable).join(' ');
  return {
    before: [`{ command . ${stepFile(step)}; } 2>/dev/null || ${fail(GONE)}`],
    after: [`{ command unset -v ${variables}; command rm -f ${files.join(' ')} || { ${empty}; }; } 2>/dev/null || :`],
  };
}

function ofStep(given: readonly GivenSecret[], step: number): readonly GivenSecret[] {
  return given.filter(({ steps }) => steps?.includes(step));
}

/** Sets the variable, and makes its file where it is to have one. */
function assign({ variable, value, file }: GivenSecret): string {
  if (!file) return `export ${variable}=${quote(value)}`;
  return `${write(fileOf(variable), value)} && export ${variable}=${fileOf(variable)}`;
}

const fileOf = (variable: string) => `${SECRETS}/${variable}`;
const stepFile = (step: number) => `${SECRETS}/.step-${step}`;

function check({ variable, value }: GivenSecret): void {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(variable)) {
    throw new UserError(`"${variable}" can't be the name of an environment variable for a secret.`);
  }
  if (!value.includes('\0')) return;
  throw new UserError(
    `The secret for ${variable} holds a byte 0, which no variable and no text can hold: set it again, encoded as base64.`,
  );
}
