import { UserError } from '#src/model/outcome.ts';
import { LONGEST_SECRET, SHORTEST_SECRET, secretValueProblem } from '#src/model/secret.ts';

/**
 * A secret value from standard input, never from the command line, where every user of the machine sees it. One line break
 * at its end is cut. At a terminal one line is asked for and not shown. UserError, without the value, if it can't be one.
 */
export async function readValue(): Promise<string> {
  const value = process.stdin.isTTY ? await prompt() : textOf(await readAll());
  const problem = secretValueProblem(value);
  if (problem !== null) {
    throw new UserError(`${problem} The value is read from standard input: add < FILE, or pipe it in.`);
  }
  return value;
}

/** Tells on standard error what will not be hidden in logs. */
export function warnOfShort(value: string): void {
  if (value.length >= SHORTEST_SECRET) return;
  console.error(
    `slipway: warning: the value has fewer than ${SHORTEST_SECRET} characters. So short a value can't be hidden: logs will show it.`,
  );
}

async function readAll(): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > 2 * LONGEST_SECRET) {
      throw new UserError(`The value is too long: at most ${LONGEST_SECRET} bytes (64 KB) are kept.`);
    }
  }
  return Buffer.concat(chunks);
}

function textOf(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes).replace(/\r?\n$/, '');
  } catch {
    throw new UserError("The value isn't text in UTF-8. Encode it by base64, and decode it in the job.");
  }
}

/** One line from the terminal, without showing it. */
async function prompt(): Promise<string> {
  const { stdin, stderr } = process;
  stderr.write('Value (it is not shown; end with Enter): ');
  stdin.setRawMode(true);
  stdin.setEncoding('utf8');
  let value = '';
  try {
    for await (const chunk of stdin as unknown as AsyncIterable<string>) {
      for (const character of chunk) {
        if (character === '\r' || character === '\n' || character === '\u0004') return value;
        if (character === '\u0003') throw new UserError('Interrupted; nothing was set.');
        value =
          character === '\u007f' || character === '\b' ? Array.from(value).slice(0, -1).join('') : value + character;
      }
    }
    return value;
  } finally {
    stdin.setRawMode(false);
    stderr.write('\n');
  }
}
