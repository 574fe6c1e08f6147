import { columnOf, type Found, levelOf, lineMatcher } from '#src/model/annotations/matcher.ts';

/**
 * `file:line[:column]: error: message`, as GCC, Clang, javac, mypy and many others write, and `file:line:column: message`
 * of linters that know no severity. A dot in the name is asked for, so that times of day and addresses don't match.
 */
export const gcc = lineMatcher('gcc', (text): Found | null => {
  if (!text.includes(': ')) return null;
  const match = /^([^\s:()][^:()]*):(\d+):(?:(\d+):)? (.+)/.exec(text);
  if (!match) return null;
  const [, path = '', line, column, rest = ''] = match;
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (!/\.[A-Za-z][\w+]*$/.test(name) && !/^(?:Makefile|Dockerfile)/.test(name)) return null;
  const severe = /^(fatal error|error|warning|note|info|style)(?:\[[^\]]*\])?: (.+)/.exec(rest);
  if (!severe && column === undefined) return null;
  const level = severe ? levelOf(severe[1] ?? '') : 'warning';
  return { path, line: Number(line), ...columnOf(column), level, message: severe?.[2] ?? rest };
});
