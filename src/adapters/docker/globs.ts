/** A pattern of files, made ready for `find` and `grep -E` in any container. */
export interface FileQuery {
  readonly pattern: string;
  /** Folder to search from: `.` or `./reports`. */
  readonly root: string;
  /** Extended regular expression that matches whole lines of what `find ROOT` prints. */
  readonly expression: string;
}

/**
 * Understands a pattern: `*` and `?` don't cross `/`, `**` does, `[a-z]` and `{a,b}` as in shells; a pattern that
 * matches a folder means everything in it. Null if it is absolute or leads out of the workspace.
 */
export function fileQuery(pattern: string): FileQuery | null {
  const segments = pattern.split('/').filter((segment) => segment !== '' && segment !== '.');
  if (pattern.startsWith('/') || segments.length === 0 || segments.includes('..')) return null;
  if (pattern.includes('\n') || pattern.includes('\0')) return null;
  const wild = segments.findIndex((segment) => /[*?[{\\]/.test(segment));
  const literal = wild === -1 ? segments : segments.slice(0, wild);
  const root = literal.length === 0 ? '.' : `./${literal.join('/')}`;
  return { pattern, root, expression: `^\\./${segmentsToExpression(segments)}(/.*)?$` };
}

function segmentsToExpression(segments: readonly string[]): string {
  let expression = '';
  segments.forEach((segment, index) => {
    const last = index === segments.length - 1;
    if (segment === '**') expression += last ? '.*' : '(.*/)?';
    else expression += toExpression(segment) + (last ? '' : '/');
  });
  return expression;
}

function toExpression(segment: string): string {
  let expression = '';
  let depth = 0;
  // Looked for once: a row of [ without end must not cost a search each.
  const lastBracket = segment.lastIndexOf(']');
  const lastBrace = segment.lastIndexOf('}');
  for (let i = 0; i < segment.length; i++) {
    const char = segment.charAt(i);
    const bracket = char === '[' && i < lastBracket ? /^\[([!^]?)(\][^\]]*|[^\]]+)\]/.exec(segment.slice(i)) : null;
    if (char === '*') {
      expression += segment.charAt(i + 1) === '*' ? '.*' : '[^/]*';
      if (segment.charAt(i + 1) === '*') i++;
    } else if (char === '?') expression += '[^/]';
    else if (bracket) {
      // A ] counts as a member only where it comes first.
      const members = bracket[2] ?? '';
      const first = members.startsWith(']') ? ']' : '';
      expression += bracket[1] ? `[^${first}/${members.slice(first.length)}]` : `[${members}]`;
      i += bracket[0].length - 1;
    } else if (char === '{' && i < lastBrace) {
      expression += '(';
      depth++;
    } else if (char === '}' && depth > 0) {
      expression += ')';
      depth--;
    } else if (char === ',' && depth > 0) expression += '|';
    else if (char === '\\' && i + 1 < segment.length) expression += escape(segment.charAt(++i));
    else expression += escape(char);
  }
  return expression + ')'.repeat(depth);
}

function escape(char: string): string {
  return /[.^$*+?()[\]{}|\\]/.test(char) ? `\\${char}` : char;
}
