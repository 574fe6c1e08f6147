import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, expect, it } from '@jest/globals';
import { extract, type Header, pack } from 'tar-stream';
import { type ContextRequest, openContext } from '#src/adapters/docker/build/context.ts';
import { UserError } from '#src/model/outcome.ts';

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

async function folderWith(files: readonly string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'slipway-context-'));
  folders.push(folder);
  for (const file of files) {
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await writeFile(join(folder, file), file);
  }
  return folder;
}

/** An archive as a hostile job may have written it. */
function archive(entries: readonly (Partial<Header> & { name: string })[]): Readable {
  const tar = pack();
  for (const entry of entries) tar.entry(entry, entry.type === undefined ? 'made' : '');
  tar.finalize();
  return Readable.from(tar);
}

/** What the context holds: a line an entry. */
async function entries(request: Partial<ContextRequest> & { readonly tree: string }): Promise<readonly string[]> {
  const context = await openContext({ context: '.', dockerfile: 'Dockerfile', archives: [], ...request });
  const found: string[] = [];
  const unpacked = extract();
  context.tar.on('error', (error) => unpacked.destroy(error)).pipe(unpacked);
  for await (const entry of unpacked) {
    let text = '';
    for await (const chunk of entry) text += String(chunk);
    const { name, type, linkname } = entry.header;
    found.push(type === 'file' ? `${name}: ${text}` : `${name} ${type}${linkname ? ` -> ${linkname}` : ''}`);
  }
  return found;
}

it('holds the tree without .git', async () => {
  const tree = await folderWith(['Dockerfile', '.git/config', 'a/.gitignore', 'a/b.txt']);
  expect(await entries({ tree })).toEqual([
    'Dockerfile: Dockerfile',
    'a directory',
    'a/.gitignore: a/.gitignore',
    'a/b.txt: a/b.txt',
  ]);
});

it('holds one folder of it, where the context names one', async () => {
  const tree = await folderWith(['app/Dockerfile', 'other.txt']);
  expect(await entries({ tree, context: './app/' })).toEqual(['Dockerfile: app/Dockerfile']);
});

it('hands links on as links, wherever they lead', async () => {
  const tree = await folderWith(['Dockerfile']);
  await symlink('/etc', join(tree, 'etc'));
  expect(await entries({ tree })).toEqual(['Dockerfile: Dockerfile', 'etc symlink -> /etc']);
});

it.each<[string, Readonly<Record<string, string>>, readonly string[]]>([
  ['.dockerignore', { '.dockerignore': '*\n!src\n**/*.log' }, ['src', 'src/a.js']],
  [
    'the file beside the Dockerfile first',
    { 'Dockerfile.dockerignore': 'src', '.dockerignore': 'top.txt' },
    ['top.txt'],
  ],
])('excludes what %s says', async (_name, ignores, kept) => {
  const tree = await folderWith(['Dockerfile', 'src/a.js', 'src/a.log', 'top.txt']);
  for (const [name, text] of Object.entries(ignores)) await writeFile(join(tree, name), text);
  const names = (await entries({ tree })).map((entry) => entry.split(/:? /)[0] ?? '');
  expect(names).toContain('Dockerfile');
  expect(names.filter((name) => /^(src(\/.*js)?|top.*)$/.test(name))).toEqual(kept);
});

it('lays archives over the tree, and lets nothing in that leads out of it', async () => {
  const tree = await folderWith(['app/Dockerfile']);
  const hostile = archive([
    { name: './app/dist/a.js' },
    { name: 'app/Dockerfile' },
    { name: '../app/up.txt' },
    { name: 'app/../../up.txt' },
    { name: '/app/absolute.txt' },
    { name: 'application/near.txt' },
    { name: 'app/.git/config' },
    { name: 'app/hard', type: 'link', linkname: '/etc/passwd' },
    { name: 'app/hard2', type: 'link', linkname: 'app/dist/a.js' },
    { name: 'app/soft', type: 'symlink', linkname: '/etc/passwd' },
    { name: 'app/device', type: 'character-device' },
  ]);
  const found = await entries({ tree, context: 'app', archives: [async () => hostile] });
  expect(found).toEqual([
    'Dockerfile: app/Dockerfile',
    'dist/a.js: made',
    'Dockerfile: made',
    'hard2 link -> dist/a.js',
    'soft symlink -> /etc/passwd',
  ]);
});

it.each<[string, Partial<ContextRequest>]>([
  ['a context above', { context: '../x' }],
  ['an absolute context', { context: '/etc' }],
  ['a context that is a link out', { context: 'out' }],
  ['a context that is a file', { context: 'Dockerfile' }],
  ['a Dockerfile above', { dockerfile: '../Dockerfile' }],
])('refuses %s', async (_name, request) => {
  const tree = await folderWith(['Dockerfile']);
  await symlink('/etc', join(tree, 'out'));
  await expect(entries({ tree, ...request })).rejects.toBeInstanceOf(UserError);
});

it('breaks off when an archive cannot be read', async () => {
  const tree = await folderWith(['Dockerfile']);
  const broken = async () => Readable.from([Buffer.alloc(512, 'x')]);
  await expect(entries({ tree, archives: [broken] })).rejects.toThrow(/header/i);
});

it('gives the text of the Dockerfile, but of no link', async () => {
  const tree = await folderWith(['Dockerfile']);
  await symlink('/etc/hostname', join(tree, 'Linked'));
  const open = (dockerfile: string) => openContext({ tree, context: '.', dockerfile, archives: [] });
  expect((await open('Dockerfile')).text).toBe('Dockerfile');
  expect((await open('Linked')).text).toBeNull();
});
