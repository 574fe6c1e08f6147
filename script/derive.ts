import { readFileSync, writeFileSync } from 'node:fs';
import { envExample, settingsPage } from '#src/settings-docs.ts';

/**
 * Writes the files that are derived from the code: docs/settings.md and .env.example.
 * With --check it writes nothing and fails if one is out of date.
 */
const files = new Map([
  ['docs/settings.md', settingsPage()],
  ['.env.example', envExample()],
]);
const check = process.argv.includes('--check');
let stale = 0;
for (const [file, wanted] of files) {
  const url = new URL(`../${file}`, import.meta.url);
  if (read(url) === wanted) continue;
  stale += 1;
  if (check) console.error(`${file} is out of date: run "npm run derive".`);
  else writeFileSync(url, wanted);
}
if (check && stale > 0) process.exitCode = 1;

function read(url: URL): string | null {
  try {
    return readFileSync(url, 'utf8');
  } catch {
    return null;
  }
}
