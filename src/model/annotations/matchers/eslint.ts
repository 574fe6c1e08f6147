import { type Found, levelOf, type Matcher, nothing } from '#src/model/annotations/matcher.ts';

/** ESLint's formats stylish (its default: a file's name, then its problems indented), unix and compact. */
export const eslint: Matcher = {
  name: 'eslint',
  start() {
    let file: string | null = null;
    return {
      line(text) {
        const single = text.endsWith(']') || text.endsWith(')') ? unix(text) : null;
        if (single) return [single];
        if (text.trim() === '') {
          file = null;
        } else if (isFile(text)) {
          file = text;
        } else if (file !== null) {
          const problem = stylish(file, text);
          if (problem) return [problem];
        }
        return nothing;
      },
    };
  },
};

/** A name with an ending stands alone in its line. */
function isFile(text: string): boolean {
  const dot = text.lastIndexOf('.');
  return dot > 0 && text.length - dot <= 9 && /^\S/.test(text) && /^[A-Za-z0-9]+$/.test(text.slice(dot + 1));
}

function stylish(path: string, text: string): Found | null {
  const match = /^ {1,8}(\d+):(\d+) +(error|warning) +(\S.*)$/.exec(text);
  if (!match) return null;
  const [, line, column, level = '', rest = ''] = match;
  const gap = rest.trimEnd().lastIndexOf('  ');
  const rule = gap > 0 ? rest.slice(gap).trim() : '';
  const isRule = /^[\w@/-]+$/.test(rule);
  const message = isRule ? rest.slice(0, gap).trim() : rest.trim();
  const title = isRule ? { title: rule } : {};
  return { path, line: Number(line), column: Number(column), level: levelOf(level), ...title, message };
}

function unix(text: string): Found | null {
  const match =
    /^([^\s:][^:]*):(\d+):(\d+): (.+) \[(Error|Warning)(?:\/([\w@/-]+))?\]$/.exec(text) ??
    reorder(/^([^\s:][^:]*): line (\d+), col (\d+), (Error|Warning) - (.+) \(([\w@/-]+)\)$/.exec(text));
  if (!match) return null;
  const [, path = '', line, column, message = '', level = '', rule] = match;
  const title = rule ? { title: rule } : {};
  return { path, line: Number(line), column: Number(column), level: levelOf(level), ...title, message };
}

/** Compact has the level before the message. */
function reorder(match: RegExpExecArray | null): (string | undefined)[] | null {
  return match && [match[0], match[1], match[2], match[3], match[5], match[4], match[6]];
}
