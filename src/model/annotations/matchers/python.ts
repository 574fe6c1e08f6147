import { columnOf, type Matcher, nothing } from '#src/model/annotations/matcher.ts';

/** flake8, pycodestyle, pylint and Ruff: `a.py:1:2: E501 line too long`, and Ruff's longer form with an arrow. */
export const python: Matcher = {
  name: 'python linters',
  start() {
    let heading: { readonly code: string; readonly message: string } | null = null;
    return {
      line(text) {
        // Looked for first: the pattern alone would look at every character of every line.
        const named = text.includes('.py') || text.includes('.ipynb');
        const concise = named
          ? /^([^\s:][^:]*\.(?:py|pyi|ipynb)):(\d+)(?::(\d+))?: ([A-Z]{1,4}\d{2,4}):? (.+)/.exec(text)
          : null;
        if (concise) {
          const [, path = '', line, column, code = '', message = ''] = concise;
          return [{ path, line: Number(line), ...columnOf(column), level: levelOfCode(code), title: code, message }];
        }
        const arrow = heading && /^ +--> ([^\s:][^:]*):(\d+):(\d+)$/.exec(text);
        const current = heading;
        const head = /^([A-Z]{1,4}\d{2,4}):? (?:\[\*\] )?(\S.*)/.exec(text);
        heading = head ? { code: head[1] ?? '', message: head[2] ?? '' } : null;
        if (!arrow || !current) return nothing;
        const [, path = '', line, column] = arrow;
        const { code, message } = current;
        return [{ path, line: Number(line), ...columnOf(column), level: levelOfCode(code), title: code, message }];
      },
    };
  },
};

/** Style, conventions and complexity are warnings; the rest is wrong or likely to be. */
function levelOfCode(code: string): 'failure' | 'warning' {
  return /^(?:W|C|N|D|R)\d/.test(code) ? 'warning' : 'failure';
}
