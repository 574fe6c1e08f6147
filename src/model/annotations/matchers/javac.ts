import { columnOf, type Found, levelOf, lineMatcher } from '#src/model/annotations/matcher.ts';

/** Maven's compilers (`[ERROR] /a/B.java:[12,5] ...`) and Kotlin's (`e: file:///a/B.kt:12:5 ...`). javac itself is gcc-like. */
export const javac = lineMatcher('javac', (text): Found | null => {
  const maven = text.startsWith('[')
    ? /^\[(ERROR|WARNING)\] +(\/?[^\s:[][^:[]*):\[(\d+)(?:,(\d+))?\] (.+)/.exec(text)
    : null;
  if (maven) {
    const [, level = '', path = '', line, column, message = ''] = maven;
    return { path, line: Number(line), ...columnOf(column), level: levelOf(level), message };
  }
  const kotlin =
    text.startsWith('e: ') || text.startsWith('w: ')
      ? /^([ew]): (?:file:\/\/)?([^\s:][^:]*):(\d+):(\d+):? (.+)/.exec(text)
      : null;
  if (!kotlin) return null;
  const [, level, path = '', line, column, message = ''] = kotlin;
  return { path, line: Number(line), ...columnOf(column), level: level === 'e' ? 'failure' : 'warning', message };
});
