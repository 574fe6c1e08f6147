import type { Vertex } from './trace.ts';

/** An instruction of a Dockerfile with its lines, counted from 1; continued lines are joined. */
interface Instruction {
  readonly text: string;
  readonly first: number;
  readonly last: number;
}

/** The lines of the instruction that a vertex named `[build 2/4] RUN make` is made of; null if no single one fits. */
export function locate(
  dockerfile: string,
  vertexName: string,
): { readonly first: number; readonly last: number } | null {
  const wanted = words(instructionOf(vertexName));
  const found = instructions(dockerfile).filter((instruction) => words(instruction.text) === wanted);
  return found.length === 1 && found[0] ? found[0] : null;
}

/** The lines around an instruction, the instruction's own marked. */
export function excerpt(dockerfile: string, at: { readonly first: number; readonly last: number }): string {
  return dockerfile
    .split('\n')
    .map((text, index) => ({ text, line: index + 1 }))
    .filter(({ line }) => line >= at.first - 2 && line <= at.last + 2)
    .map(({ text, line }) => `${line >= at.first && line <= at.last ? '>' : ' '} ${String(line).padStart(4)} | ${text}`)
    .join('\n');
}

/**
 * Why an image can't be built, as a sentence for the Dockerfile's author. `message` is the engine's last
 * word, `failed` the instruction that failed, if it came so far. Null where the reason isn't the author's:
 * a registry that can't be reached.
 */
export function explainFailure(
  file: string,
  message: string,
  failed: Vertex | null,
  dockerfile: string | null,
): string | null {
  const cause = withoutPrefixes(failed?.error || message);
  if (isUnreachable(cause)) return null;
  if (/failed to read dockerfile|cannot locate specified dockerfile/i.test(message))
    return `There is no file ${file}. Add it, or name another with \`dockerfile\`.`;

  const base = failed && /^\[internal\] load metadata for (.+)$/.exec(failed.name)?.[1];
  if (base) return `${file}: the base image ${base} can't be had: ${cause}`;
  const parsed = /(?:^|\s)line (\d+): (.*)/.exec(cause);
  if (!failed && parsed) return `${file}:${parsed[1]}: ${parsed[2]}`;
  if (!failed) return `${file}: ${cause}`;

  const at = dockerfile === null ? null : locate(dockerfile, failed.name);
  const step = `${at ? `${file}:${at.first}` : file}: \`${instructionOf(failed.name)}\``;
  const exit = /exit code: (\d+)/.exec(cause)?.[1];
  if (exit) return `${step} ended with exit code ${exit}.`;
  const missing = /"([^"]+)":? not found/.exec(cause)?.[1];
  if (missing)
    return `${step} needs ${missing.replace(/^\//, '')}, which isn't among the files of the build. See that it lies in the context, that .dockerignore doesn't exclude it, and that the job which makes it is named in \`needs\`.`;
  return `${step} failed: ${cause}`;
}

function instructionOf(vertexName: string): string {
  return vertexName.replace(/^\[[^\]]*\] /, '');
}

/** The first line of an error without the names of the parts that it came through. */
function withoutPrefixes(error: string): string {
  const line = error.trim().split('\n', 1)[0] ?? '';
  return line.replace(
    /^(failed to solve( with frontend [\w.]+)?: |failed to create LLB definition: |rpc error: code = \w+ desc = )+/,
    '',
  );
}

function isUnreachable(cause: string): boolean {
  return /dial tcp|no such host|connection refused|connection reset|broken pipe|i\/o timeout|context deadline exceeded|Client\.Timeout|TLS handshake|no route to host|network is unreachable|server misbehaving|toomanyrequests|: (unexpected )?EOF$|unexpected status(?: code)?.*: (5\d\d|429)|no space left on device/i.test(
    cause,
  );
}

function words(text: string): string {
  return text.trim().split(/\s+/).join(' ').toLowerCase();
}

function instructions(dockerfile: string): readonly Instruction[] {
  const found: Instruction[] = [];
  let text = '';
  let first = 0;
  for (const [index, line] of dockerfile.split(/\r?\n/).entries()) {
    // Comments and empty lines may stand between the lines of one instruction.
    if (/^\s*(#|$)/.test(line)) continue;
    if (text === '') first = index + 1;
    const continued = /^(.*)\\\s*$/.exec(line);
    text += continued ? continued[1] : line;
    if (continued) continue;
    found.push({ text, first, last: index + 1 });
    text = '';
  }
  return found;
}
