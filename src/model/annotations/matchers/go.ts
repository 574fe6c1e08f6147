import { columnOf, type Found, type Matcher, nothing } from '#src/model/annotations/matcher.ts';

const maxWaiting = 100;

/** go build and go vet, the failing tests of go test, and panics. */
export const go: Matcher = {
  name: 'go',
  start(places) {
    let test: string | null = null;
    let panic: string | null = null;
    /** go test names files without their folder; the package comes with the last line. */
    let waiting: Found[] = [];

    function settle(packagePath: string): readonly Found[] {
      const folder = folderOf(packagePath);
      const found = waiting.map((each) => ({
        ...each,
        path: each.path.includes('/') ? each.path : folder + each.path,
      }));
      waiting = [];
      return found;
    }
    return {
      line(text): readonly Found[] {
        const verdict = text.includes('\t') ? /^(?:FAIL|ok) *\t(\S+)/.exec(text) : null;
        if (verdict) {
          test = null;
          panic = null;
          return settle(verdict[1] ?? '');
        }
        if (text.startsWith('panic: ')) {
          panic = text;
          return nothing;
        }
        const heading = text.includes('--- ') ? /^ *--- (FAIL|PASS|SKIP): (\S+)/.exec(text) : null;
        if (heading) {
          test = heading[1] === 'FAIL' ? (heading[2] ?? null) : null;
          return nothing;
        }
        if (!text.includes('.go:')) return nothing;
        if (panic !== null) {
          const frame = /^\t(\/[^\s:]+\.go):(\d+)(?: |$)/.exec(text);
          if (!frame || places.locate(frame[1] ?? '') === null) return nothing;
          const found: Found = { path: frame[1] ?? '', line: Number(frame[2]), level: 'failure', message: panic };
          panic = null;
          return [{ ...found, title: test ?? 'panic' }];
        }
        const remark = test === null ? null : /^ {4,}([^\s:/]+\.go):(\d+): ?(.*)/.exec(text);
        if (remark) {
          const [, path = '', line, message = ''] = remark;
          const title = test ?? '';
          const found: Found = {
            path,
            line: Number(line),
            level: 'failure',
            title,
            message: message || `${title} failed`,
          };
          if (waiting.length < maxWaiting) waiting.push(found);
          return nothing;
        }
        const plain = /^(?:vet: )?([^\s:][^:]*\.go):(\d+)(?::(\d+))?: (.+)/.exec(text);
        if (!plain) return nothing;
        const [, path = '', line, column, message = ''] = plain;
        return [{ path, line: Number(line), ...columnOf(column), level: 'failure', message }];
      },
    };
  },
};

/**
 * The package's folder in the repository, by how modules are named: `github.com/OWNER/REPO/folder`, elsewhere
 * `HOST/MODULE/folder` or `MODULE/folder`.
 */
function folderOf(packagePath: string): string {
  const parts = packagePath.split('/');
  const first = parts[0] ?? '';
  const forge = /^(?:github\.com|gitlab\.com|bitbucket\.org|codeberg\.org)$/.test(first);
  const own = parts.slice(forge ? 3 : first.includes('.') ? 2 : 1);
  if (/^v\d+$/.test(own[0] ?? '')) own.shift();
  return own.map((part) => `${part}/`).join('');
}
