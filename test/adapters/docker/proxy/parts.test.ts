import { mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { array, assert, asyncProperty, integer, oneof, record, string } from 'fast-check';
import { openBeneath } from '#src/adapters/docker/proxy/binds.ts';
import { encodeHeader, registryAuth } from '#src/adapters/docker/proxy/credentials.ts';
import { imageOwner, imagePrefix } from '#src/adapters/docker/proxy/made.ts';
import { eachRecord } from '#src/adapters/docker/proxy/streams.ts';

describe('records of a stream', () => {
  it('come one by one, wherever the bytes are cut', async () => {
    const some = oneof(integer(), string(), record({ Type: string(), é: string() }));
    await assert(
      asyncProperty(array(some), integer({ min: 1, max: 7 }), async (all, size) => {
        const bytes = Buffer.from(all.map((one) => `${JSON.stringify(one)}\r\n`).join(''));
        const cut = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
          bytes.subarray(i * size, i * size + size),
        );
        let out = '';
        for await (const text of Readable.from(cut).pipe(eachRecord((json) => json))) out += String(text);
        expect(out).toBe(all.map((one) => `${JSON.stringify(one)}\n`).join(''));
      }),
    );
  });

  it('are left out if they are not the job’s, and what is no JSON too', async () => {
    const stream = Readable.from([Buffer.from('{"a":1}\nnothing\n{"a":2}')]);
    let out = '';
    const own = eachRecord((json) => ((json as { a: number }).a === 2 ? json : null));
    for await (const text of stream.pipe(own)) out += String(text);
    expect(out).toBe('{"a":2}\n');
  });
});

describe('a path of the workspace', () => {
  let root: string;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'slipway-beneath-'));
    await mkdir(join(root, 'a/b'), { recursive: true });
    await writeFile(join(root, 'a/file'), '');
    await symlink('b', join(root, 'a/near'));
    await symlink('../a/near/..', join(root, 'a/around'));
    await symlink('/workspace/a', join(root, 'own'));
    await symlink('/', join(root, 'out'));
    await symlink('../../..', join(root, 'a/up'));
    await symlink('loop', join(root, 'loop'));
  });
  afterAll(() => rm(root, { recursive: true, force: true }));

  it.each([
    ['a/b', 'a/b'],
    ['a/file', 'a/file'],
    ['a/near', 'a/b'],
    ['a/around/file', 'a/file'],
    ['own/b', 'a/b'],
  ])('%s is %s', async (path, meant) => {
    await using found = await openBeneath(root, path, false);
    expect((await found.handle.stat()).ino).toBe((await stat(join(root, meant))).ino);
  });

  it.each(['out', 'out/etc', 'a/up', 'loop', 'a/file/x', '../x', 'a/../../x'])('%s is refused', async (path) => {
    await expect(openBeneath(root, path, true)).rejects.toThrow(/leads out|too many links|no folder|no such/);
  });
});

describe('an account for a registry', () => {
  const lent = () => ({ username: 'operator', password: 'p', serveraddress: 'r.example' });
  const none = encodeHeader({});

  it('is the client’s own, else the one lent', () => {
    const own = encodeHeader({ username: 'u', password: 'p' });
    expect(registryAuth(own, 'r.example/a', lent)).toBe(own);
    expect(registryAuth(none, 'r.example/a', lent)).toBe(encodeHeader(lent()));
    expect(registryAuth(undefined, 'r.example/a', () => null)).toBeNull();
    // The engine takes another part of it for the host.
    expect(registryAuth(none, 'Evil/r.example/a', lent)).toBeNull();
  });
});

describe('the name of a job’s image', () => {
  it('tells whose it is, to this installation alone', () => {
    const name = `${imagePrefix('home', 'job-7-1', 'nonce')}/acme/shop:v1`;
    expect(imageOwner('home', name)).toBe('job-7-1');
    expect(imageOwner('other', name)).toBeNull();
    expect(imagePrefix('home', 'job-7-1', 'other')).not.toBe(imagePrefix('home', 'job-7-1', 'nonce'));
  });
});
