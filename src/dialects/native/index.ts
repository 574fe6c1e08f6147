import type { Dialect } from '../dialect.ts';
import { compileNative } from './compile.ts';

/** slipway.yml. */
export const native: Dialect = {
  name: 'native',
  files: ['slipway.yml', 'slipway.yaml', '.github/slipway.yml', '.github/slipway.yaml'],
  compile({ claimed, contents }) {
    const [file = '', second] = claimed;
    if (second !== undefined) {
      const message = `There are two pipeline files, ${file} and ${second}; only one of them could count.`;
      const at = { file: second, line: 1, column: 1 };
      return {
        kind: 'invalid',
        diagnostics: [{ severity: 'error', code: 'two-files', message, hint: `Remove one of them.`, at }],
      };
    }
    const text = contents.get(file);
    if (text === undefined || text === null) return { kind: 'needs-files', paths: [file] };
    return compileNative(file, text);
  },
};
