import { describe, expect, it } from '@jest/globals';
import { explain } from '#src/adapters/git/failure.ts';
import { folderName, isRef, isRepositoryPath, remoteOf } from '#src/adapters/git/names.ts';

describe('what may go onto a command line of git', () => {
  it.each([
    ['refs/heads/main', true],
    ['refs/heads/feature/ü-1', true],
    ['refs/tags/v1.0.0', true],
    ['refs/pull/7/head', true],
    ['refs/heads/-x', true],
    ['HEAD', false],
    ['-refs/heads/x', false],
    ['refs/heads/', false],
    ['refs//heads', false],
    ['refs/heads/.x', false],
    ['refs/heads/x.', false],
    ['refs/heads/x.lock', false],
    ['refs/heads/x.lock/y', false],
    ['refs/heads/a..b', false],
    ['refs/heads/a@{1}', false],
    ['refs/heads/a b', false],
    ['refs/heads/a\nb', false],
    ['refs/heads/a:b', false],
    ['refs/heads/a*', false],
    ['refs/heads/a\\b', false],
  ])('ref %j: %s', (ref, valid) => {
    expect(isRef(ref)).toBe(valid);
  });

  it.each([
    ['a/b.txt', true],
    ['ä b', true],
    ['', false],
    ['/etc/passwd', false],
    ['a//b', false],
    ['a/../b', false],
    ['./a', false],
    ['a\nb', false],
  ])('path %j: %s', (path, valid) => {
    expect(isRepositoryPath(path)).toBe(valid);
  });

  it.each([
    ['https://github.com/acme/shop.git', { url: 'https://github.com/acme/shop.git', scheme: 'https' }],
    ['https://x:secret@github.com/acme/shop.git', { url: 'https://github.com/acme/shop.git', scheme: 'https' }],
    ['http://127.0.0.1:1/a.git', { url: 'http://127.0.0.1:1/a.git', scheme: 'http' }],
    ['/srv/a', { url: '/srv/a', scheme: 'file' }],
  ])('address %s', (address, remote) => {
    expect(remoteOf(address)).toEqual(remote);
  });

  it.each([['ext::sh -c touch% /tmp/x'], ['ssh://git@github.com/a'], ['--upload-pack=x'], ['file:///etc'], ['a']])(
    'refuses the address %s',
    (address) => {
      expect(() => remoteOf(address)).toThrow(/must begin with https/);
    },
  );

  it('makes a folder name that stays inside its folder', () => {
    const repository = { owner: 'a', defaultBranch: 'main', private: true, cloneUrl: '', installationId: 0 };
    expect(folderName({ ...repository, id: 7, name: '../../x y' })).toBe('7-.._.._x_y');
  });
});

describe('what git says', () => {
  it.each([
    ["fatal: couldn't find remote ref refs/heads/x", 'gone', 'UserError'],
    ['fatal: remote error: upload-pack: not our ref dddd', 'gone', 'UserError'],
    ["fatal: unable to access 'https://x/': The requested URL returned error: 403", 'denied', 'PlatformError'],
    ["remote: Repository not found.\nfatal: repository 'https://x/' not found", 'denied', 'PlatformError'],
    ["fatal: could not read Username for 'https://x': terminal prompts disabled", 'denied', 'PlatformError'],
    ["fatal: unable to access 'https://x/': Could not resolve host: x", 'transient', 'PlatformError'],
    ["fatal: unable to access 'https://x/': The requested URL returned error: 502", 'transient', 'PlatformError'],
    ['error: RPC failed; curl 18 transfer closed', 'transient', 'PlatformError'],
    ["fatal: Unable to create '/m/packed-refs.lock': File exists.", 'busy', 'PlatformError'],
    ["error: invalid path '.git/config'", 'other', 'UserError'],
    ['fatal: something new', 'other', 'PlatformError'],
  ])('%s', (stderr, kind, name) => {
    const failure = explain(stderr, 'fetch acme/shop');
    expect(failure.kind).toBe(kind);
    expect(failure.error.name).toBe(name);
    expect(failure.error.message).toMatch(/^Can't fetch acme\/shop: /);
  });
});
