import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { stringify } from 'yaml';
import { dialects, loadPipeline } from '#src/dialects/index.ts';
import { formatDiagnostic } from '#src/model/diagnostic.ts';

/**
 * Each case is one file: the repository's files, each after a line `=== path`, and after `=== expected` what comes
 * of them. UPDATE_CASES=1 writes what comes now; read the difference before you commit it.
 */
const root = new URL('../../src/dialects/', import.meta.url);
const folders = [...dialects.map((dialect) => dialect.name), 'detected'];

describe.each(folders)('dialect %s', (name) => {
  const folder = new URL(`${name}/`, root);
  const cases = readdirSync(new URL('cases/', folder)).filter((file) => file.endsWith('.case'));

  it('has its files', () => {
    expect(existsSync(new URL('index.ts', folder))).toBe(true);
    expect(cases.length).toBeGreaterThan(0);
  });

  it('has a readme that names every file it claims', () => {
    const readme = readFileSync(new URL('readme.md', folder), 'utf8');
    for (const file of dialects.find((dialect) => dialect.name === name)?.files ?? []) expect(readme).toContain(file);
  });

  it.each(cases)('%s', async (file) => {
    const place = new URL(`cases/${file}`, folder);
    const { files, expected } = parse(readFileSync(place, 'utf8'));
    const found = await outcome(files);
    const update = Boolean(process.env['UPDATE_CASES']);
    if (update) writeFileSync(place, [...files].map(section).join('') + section(['expected', found]));
    expect(update || found).toBe(update || expected);
  });
});

it('has a folder for every dialect and a dialect for every folder', () => {
  const found = readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  expect(found.map((entry) => entry.name).sort()).toEqual([...folders].sort());
});

async function outcome(files: ReadonlyMap<string, string>): Promise<string> {
  const loaded = await loadPipeline(
    [...files.keys()],
    async (paths) => new Map(paths.map((path) => [path, files.get(path) ?? null])),
  );
  if (loaded.kind === 'none') return `nothing found\n`;
  const remarks = loaded.diagnostics
    .map((diagnostic) => `${formatDiagnostic(diagnostic)} [${diagnostic.code}]\n`)
    .join('');
  return loaded.kind === 'invalid'
    ? remarks
    : remarks + stringify(loaded.pipeline, { lineWidth: 0, aliasDuplicateObjects: false });
}

function parse(text: string): { files: ReadonlyMap<string, string>; expected: string } {
  const files = new Map<string, string>();
  let current = '';
  for (const line of text.split(/(?<=\n)/)) {
    const path = /^=== (.+)\n$/.exec(line)?.[1];
    current = path ?? current;
    files.set(current, (files.get(current) ?? '') + (path === undefined ? line : ''));
  }
  const expected = files.get('expected') ?? '';
  files.delete('expected');
  return { files, expected };
}

function section([path, text]: readonly [string, string]): string {
  return `=== ${path}\n${text}`;
}
