import { execFileSync } from 'node:child_process';
import {
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { array, assert, asyncProperty, constantFrom, integer, record, string, uint8Array } from 'fast-check';
import { extract, type Header, pack } from 'tar-stream';
import { openArchives, readReports } from '#src/adapters/docker/archives.ts';
import { openContext } from '#src/adapters/docker/build/context.ts';
import { refuseHostile } from '#src/adapters/docker/check-inputs.ts';
import { createFolder, reopenFolder } from '#src/adapters/docker/folder.ts';
import { UserError } from '#src/model/outcome.ts';

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'slipway-archives-'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

type Entry = Partial<Header> & { readonly name: string; readonly text?: string };

async function tarOf(entries: readonly Entry[]): Promise<Buffer> {
  const tar = pack();
  for (const { text, ...header } of entries) tar.entry(header, text ?? '');
  tar.finalize();
  return buffer(tar);
}

async function file(name: string, entries: readonly Entry[]): Promise<string> {
  const path = join(home, name);
  writeFileSync(path, await tarOf(entries));
  return path;
}

describe('what a job packed', () => {
  const outside = 'the secret of the host';

  it.each([
    ['a link to a file of the host', (path: string) => symlinkSync(join(home, 'secret'), path)],
    ['a link to nothing', (path: string) => symlinkSync('/nowhere/at/all', path)],
    ['a link to a device', (path: string) => symlinkSync('/dev/zero', path)],
    ['a pipe', (path: string) => execFileSync('mkfifo', [path])],
    ['a folder', (path: string) => mkdirSync(path)],
    ['nothing', () => undefined],
  ])('is nothing, at once, where it is %s', async (_what, make) => {
    writeFileSync(join(home, 'secret'), outside);
    const packed = join(home, 'packed.tar');
    make(packed);
    const archives = await openArchives(join(home, 'artifacts'), 1_000);
    expect(await archives.take(packed, 'job', 1)).toBeNull();
    expect((await readReports(packed, () => {})).size).toBe(0);
    expect(readdirSync(join(home, 'artifacts'))).toEqual([]);
  });

  it('may not be larger than the limit, however little of it is on the disk', async () => {
    const packed = join(home, 'packed.tar');
    writeFileSync(packed, '');
    truncateSync(packed, 1024 ** 4);
    const archives = await openArchives(join(home, 'artifacts'), 1_000);
    await expect(archives.take(packed, 'job', 1)).rejects.toThrow(UserError);
    const notes: string[] = [];
    expect((await readReports(packed, (line) => notes.push(line))).size).toBe(0);
    expect(notes.join()).toContain('larger than 10 MB');
  });

  it("isn't kept if another file takes its place while it is taken", async () => {
    const packed = await file('packed.tar', [{ name: 'a', text: 'small' }]);
    const archives = await openArchives(join(home, 'artifacts'), 100_000);
    const taking = archives.take(packed, 'job', 1);
    // Before the server gets on: what it opened is still there, under another name.
    writeFileSync(join(home, 'other'), 'y'.repeat(200_000));
    const swapping = setInterval(() => {
      try {
        linkSync(join(home, 'other'), join(home, 'next'));
        renameSync(join(home, 'next'), packed);
      } catch {
        // taken already
      }
    }, 0);
    const ref = await taking.catch(() => null);
    clearInterval(swapping);
    const kept = ref === null ? Buffer.alloc(0) : await buffer(await archives.open(ref));
    expect(kept.length).toBeLessThan(100_000);
  });

  it('is found by a plain name only', async () => {
    const archives = await openArchives(join(home, 'artifacts'), 1_000);
    writeFileSync(join(home, 'secret.tar'), outside);
    symlinkSync(join(home, 'secret.tar'), join(home, 'artifacts', 'linked-1.tar'));
    for (const ref of ['../secret.tar', '/etc/passwd', 'linked-1.tar', '..', 'a\0.tar', 'a/b.tar']) {
      await expect(archives.open(ref)).rejects.toThrow(/no longer there/);
      await expect(archives.path(ref)).rejects.toThrow(/no longer there/);
    }
  });
});

describe('artifacts that the next job unpacks', () => {
  it.each<[string, readonly (readonly Entry[])[]]>([
    ['leads upwards', [[{ name: '../x', text: 'x' }]]],
    ['leads upwards from below', [[{ name: 'a/../../x', text: 'x' }]]],
    ['is absolute', [[{ name: '/slipway/script', text: 'x' }]]],
    [
      'writes through a link',
      [
        [
          { name: 'a', type: 'symlink', linkname: '/slipway' },
          { name: 'a/script', text: 'x' },
        ],
      ],
    ],
    [
      'writes through a link in a folder',
      [
        [
          { name: './d/a', type: 'symlink', linkname: '../..' },
          { name: 'd//a/script', text: 'x' },
        ],
      ],
    ],
    [
      'writes through a link of another archive',
      [[{ name: './a', type: 'symlink', linkname: '/usr/bin' }], [{ name: './a/node', text: 'x' }]],
    ],
    [
      'writes through a link that only a long name shows',
      [
        [
          { name: 'l'.repeat(150), type: 'symlink', linkname: '/slipway' },
          { name: `${'l'.repeat(150)}/script`, text: 'x' },
        ],
      ],
    ],
    ['links a file from outside', [[{ name: 'a', type: 'link', linkname: '/etc/shadow' }]]],
    ['links a file from above', [[{ name: 'a', type: 'link', linkname: '../slipway/script' }]]],
    [
      'links a file through a link',
      [
        [
          { name: 'a', type: 'symlink', linkname: '/etc' },
          { name: 'b', type: 'link', linkname: 'a/shadow' },
        ],
      ],
    ],
    ['is a device', [[{ name: 'sda', type: 'block-device', devmajor: 8, devminor: 0 }]]],
    ['is a character device', [[{ name: 'mem', type: 'character-device', devmajor: 1, devminor: 1 }]]],
    ['is a pipe', [[{ name: 'pipe', type: 'fifo' }]]],
    ['hides behind a PAX header', [[{ name: 'x', text: 'x', pax: { path: '../../x' } }]]],
    ['has another name for GNU tar', [[{ name: 'x', text: 'x', pax: { 'GNU.sparse.name': 'a/script' } }]]],
    ['links behind a PAX header', [[{ name: 'x', type: 'link', linkname: 'y', pax: { linkpath: '/etc/shadow' } }]]],
  ])('are refused where one %s', async (_what, archives) => {
    const paths = await Promise.all(archives.map((entries, i) => file(`input-${i}.tar`, entries)));
    await expect(refuseHostile(paths)).rejects.toThrow(/^The artifacts of an earlier job can't be unpacked: /);
  });

  it('may hold links that lead anywhere, as a virtual environment of Python does, and files in their place', async () => {
    const first = await file('input-0.tar', [
      { name: './venv/bin/python', type: 'symlink', linkname: '/usr/bin/python3' },
      { name: './node_modules/.bin/tsc', type: 'symlink', linkname: '../typescript/bin/tsc' },
      { name: './dist/a..b/...', text: 'x' },
      { name: './dist/copy', type: 'link', linkname: './dist/a..b/...' },
      { name: './dist/', type: 'directory' },
    ]);
    const second = await file('input-1.tar', [{ name: './venv/bin/python', text: 'x' }]);
    await refuseHostile([first, second]);
  });

  it('are refused where they are no archive, of which another tar might make more', async () => {
    writeFileSync(join(home, 'input-0.tar'), Buffer.alloc(1_024, 'x'));
    await expect(refuseHostile([join(home, 'input-0.tar')])).rejects.toThrow(/can't be read/);
  });

  it('are looked at as the tar in the container reads them', async () => {
    mkdirSync(join(home, 'made/dir'), { recursive: true });
    writeFileSync(join(home, 'made/dir/file'), 'x');
    symlinkSync('/etc', join(home, 'made/link'));
    linkSync(join(home, 'made/dir/file'), join(home, 'made/hard'));
    for (const format of ['gnu', 'pax', 'ustar', 'v7']) {
      const good = join(home, `good-${format}.tar`);
      execFileSync('tar', [
        '-cf',
        good,
        `--format=${format}`,
        '-C',
        join(home, 'made'),
        './dir/file',
        './link',
        './hard',
      ]);
      await refuseHostile([good]);
      const bad = join(home, `bad-${format}.tar`);
      const renamed = '--transform=s,^,../,';
      execFileSync('tar', ['-cPf', bad, `--format=${format}`, renamed, '-C', join(home, 'made'), 'dir/file']);
      await expect(refuseHostile([bad])).rejects.toThrow(/leads out of the workspace/);
    }
  });
});

describe('an archive of random entries', () => {
  const part = constantFrom('a', 'b', '..', '.', '', '.git', 'ü', 'x\ny', '__proto__', '\u202e');
  const name = array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
  const type = constantFrom('file', 'link', 'symlink', 'directory', 'fifo', 'character-device');
  const entry = record({ name, type, linkname: name, text: string() });
  const entries = array(entry, { maxLength: 8 }).map((list) =>
    list.map(({ type: kind, linkname, text, ...each }): Entry => {
      if (kind === 'file') return { ...each, type: 'file', text };
      return { ...each, type: kind, linkname };
    }),
  );

  it('never leaves its folder: what is let through, tar unpacks inside', async () => {
    let through = 0;
    await assert(
      asyncProperty(array(entries, { minLength: 1, maxLength: 2 }), async (lists) => {
        const paths = await Promise.all(lists.map((list, i) => file(`random-${i}.tar`, list)));
        if (
          !(await refuseHostile(paths).then(
            () => true,
            () => false,
          ))
        )
          return;
        through += 1;
        const target = join(home, 'box/workspace');
        mkdirSync(target, { recursive: true });
        for (const path of paths) {
          try {
            execFileSync('tar', ['-xf', path, '-C', target], { stdio: 'pipe' });
          } catch {
            // Some make no sense; then tar says so.
          }
        }
        expect(readdirSync(join(home, 'box'))).toEqual(['workspace']);
        await rm(join(home, 'box'), { recursive: true });
      }),
      { numRuns: 200 },
    );
    expect(through).toBeGreaterThan(10);
  }, 60_000);

  it('never leaves the context of a build', async () => {
    mkdirSync(join(home, 'tree/sub'), { recursive: true });
    writeFileSync(join(home, 'tree/sub/Dockerfile'), 'FROM scratch\n');
    await assert(
      asyncProperty(entries, async (list) => {
        const bytes = await tarOf(list);
        const archives = [async () => Readable.from([bytes])];
        const { tar } = await openContext({
          tree: join(home, 'tree'),
          context: 'sub',
          dockerfile: 'Dockerfile',
          archives,
        });
        const names: string[] = [];
        const unpack = extract();
        tar.pipe(unpack);
        for await (const each of unpack) {
          names.push(each.header.name);
          if (each.header.type === 'link') names.push(each.header.linkname ?? '');
          each.resume();
        }
        for (const each of names) expect(each).not.toMatch(/^\/|^\.git(\/|$)|(^|\/)\.\.(\/|$)/);
      }),
      { numRuns: 300 },
    );
  }, 60_000);

  it('and of random bytes is read without a crash or a hang', async () => {
    const whole = await tarOf([
      { name: 'a.xml', text: '<testsuite/>' },
      { name: 'b.xml', text: 'x'.repeat(600) },
    ]);
    const damage = array(record({ at: integer({ min: 0, max: whole.length - 1 }), by: integer({ min: 0, max: 255 }) }));
    await assert(
      asyncProperty(damage, uint8Array({ maxLength: 2_000 }), async (damages, random) => {
        const damaged = Buffer.from(whole);
        for (const { at, by } of damages) damaged[at] = by;
        for (const bytes of [damaged, Buffer.from(random)]) {
          const path = join(home, 'damaged.tar');
          writeFileSync(path, bytes);
          await readReports(path, () => {});
          await refuseHostile([path]).catch(() => {});
        }
      }),
      { numRuns: 500 },
    );
  }, 60_000);
});

describe("a job's control folder", () => {
  it.each([
    ['a link', (path: string) => symlinkSync('/etc/passwd', path)],
    ['a pipe', (path: string) => execFileSync('mkfifo', [path])],
    ['a folder', (path: string) => mkdirSync(path)],
  ])('gives nothing of the host away where the log is %s', async (_what, make) => {
    const path = join(home, 'job');
    const folder = await createFolder(path);
    await rm(join(path, 'control/log'));
    make(join(path, 'control/log'));
    expect(await folder.isOurs()).toBe(false);
    expect(await reopenFolder(path)).toBeNull();
    await folder.close();
  });

  it("is never written through: a link in a file's place stops the job, not the host", async () => {
    const path = join(home, 'job');
    const folder = await createFolder(path);
    const victim = join(home, 'victim');
    writeFileSync(victim, 'untouched');
    symlinkSync(victim, join(path, 'control/script'));
    symlinkSync(join(home, 'made'), join(path, 'control/input-0.tar'));
    await expect(folder.write('script', 'x')).rejects.toThrow(/EEXIST/);
    await expect(folder.copy(victim, 'input-0.tar')).rejects.toThrow(/EEXIST/);
    expect(readFileSync(victim, 'utf8')).toBe('untouched');
    expect(readdirSync(home).toSorted()).toEqual(['job', 'victim']);
    await folder.close();
  });
});
