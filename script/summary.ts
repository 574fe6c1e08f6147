import { readFileSync } from 'node:fs';

// node script/summary.ts RESULT EXIT_CODE...: RESULT is jest's own JSON. Prints `N passed, N failed` as the only line
// and fails if something failed. A file of tests that couldn't run counts as one failed test, and so does each
// further program that didn't exit with 0 although no test says so.
const [file = '', jest = '1', ...others] = process.argv.slice(2);
const { passed, failed } = counts();
const more = others.filter((code) => code !== '0').length;
console.log(`${passed} passed, ${failed + more} failed`);
process.exitCode = failed + more === 0 ? 0 : 1;

function counts(): { readonly passed: number; readonly failed: number } {
  try {
    const result = JSON.parse(readFileSync(file, 'utf8')) as Record<string, number>;
    const failed = (result['numFailedTests'] ?? 0) + (result['numRuntimeErrorTestSuites'] ?? 0);
    return { passed: result['numPassedTests'] ?? 0, failed: failed === 0 && jest !== '0' ? 1 : failed };
  } catch {
    console.error(`The tests left no result (exit code ${jest}).`);
    return { passed: 0, failed: 1 };
  }
}
