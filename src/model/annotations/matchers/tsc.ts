import { columnOf, type Found, levelOf, lineMatcher } from '#src/model/annotations/matcher.ts';

/** `tsc`: `a.ts(1,2): error TS1: ...`, and `a.ts:1:2 - error TS1: ...` where it writes to a terminal. */
export const tsc = lineMatcher('tsc', (text): Found | null => {
  if (!text.includes(' TS')) return null;
  const match =
    /^([^\s(][^(]*)\((\d+),(\d+)\): (error|warning|message) (TS\d+): (.+)/.exec(text) ??
    /^([^\s:][^:]*):(\d+):(\d+) - (error|warning|message) (TS\d+): (.+)/.exec(text);
  if (!match) return null;
  const [, path = '', line, column, level = '', title = '', message = ''] = match;
  return { path, line: Number(line), ...columnOf(column), level: levelOf(level), title, message };
});
