import { describe, expect, it } from '@jest/globals';
import { connectDocker } from '#src/adapters/docker/connection.ts';
import { explain } from '#src/adapters/docker/errors.ts';
import { fileQuery } from '#src/adapters/docker/globs.ts';
import { candidateIds, toHostPath } from '#src/adapters/docker/host.ts';
import { goMessage } from '#src/adapters/docker/script.ts';
import { listensOn } from '#src/adapters/docker/services.ts';
import { ownerOf } from '#src/adapters/docker/labels.ts';
import { parseMountInfo, sharedAt } from '#src/adapters/docker/mounts.ts';
import { PlatformError, UserError } from '#src/model/outcome.ts';

describe('fileQuery', () => {
  it.each([
    ['*.xml', './a.xml', './d/a.xml'],
    ['dist', './dist/a/b', './dist2/a'],
    ['dist/', './dist/a', './x/dist/a'],
    ['**/*.log', './a/b/c.log', './a/b/c.txt'],
    ['a/**', './a/b/c', './b/a'],
    ['r?port.{xml,txt}', './report.txt', './report.md'],
    ['[a-c].txt', './b.txt', './d.txt'],
    ['[!a].txt', './b.txt', './a.txt'],
    ['a.b', './a.b', './axb'],
    ['./x/*', './x/-y', './-y'],
  ])('%s means %s and not %s', (pattern, yes, no) => {
    const expression = new RegExp(fileQuery(pattern)?.expression ?? '$^');
    expect(expression.test(yes)).toBe(true);
    expect(expression.test(no)).toBe(false);
  });

  it.each(['/etc/passwd', '../x', 'a/../../b', '', 'a\nb'])('refuses %j', (pattern) => {
    expect(fileQuery(pattern)).toBeNull();
  });
});

describe('toHostPath', () => {
  const mounts = [
    { source: '/var/lib/docker/volumes/data/_data', destination: '/data' },
    { source: '/srv/deep', destination: '/data/deep' },
  ];
  it.each([
    ['/data/jobs/a', '/var/lib/docker/volumes/data/_data/jobs/a'],
    ['/data', '/var/lib/docker/volumes/data/_data'],
    ['/data/deep/x', '/srv/deep/x'],
  ])('%s is %s', (path, expected) => expect(toHostPath(mounts, path)).toBe(expected));
  it('says what to do about a path that is in the container only', () => {
    expect(() => toHostPath(mounts, '/database')).toThrow(PlatformError);
  });
});

describe('candidateIds', () => {
  const id = 'a'.repeat(64);
  it.each([
    ['a host', 'build-1', '0::/init.scope', '27 1 254:0 / / rw - ext4 /dev/vda rw', []],
    ['cgroup v1', 'aaaaaaaaaaaa', `5:pids:/docker/${id}`, '', [id, 'aaaaaaaaaaaa']],
    [
      'cgroup v2',
      'named',
      '0::/',
      `9 1 8:1 /var/lib/docker/containers/${id}/hostname /etc/hostname rw - ext4 x rw`,
      [id],
    ],
  ])('of %s', (_, host, cgroup, mountinfo, ids) => expect(candidateIds(host, cgroup, mountinfo)).toEqual(ids));
});

describe('mounts', () => {
  const info =
    '27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n43 27 254:0 /x /a\\040b rw - ext4 /dev/vda rw\n';
  it.each([
    ['/home', true],
    ['/a b/jobs', false],
    ['/a bc', true],
  ])('%s is shared: %s', (folder, shared) => expect(sharedAt(parseMountInfo(info), folder)).toBe(shared));
});

describe('names', () => {
  it.each([
    ['slipway-job-01ABC-x-2-0a1b2c3d', {}, '01ABC-x-2'],
    ['slipway-net-any', { 'slipway.job': '01ABC-x', 'slipway.attempt': '3' }, '01ABC-x-3'],
    ['slipway-idle-0a1b2c3d', { 'slipway.kind': 'idle' }, null],
    ['somebody-else', {}, null],
  ])('%s with %j belongs to %s', (name, labels, owner) => expect(ownerOf(labels, name)).toBe(owner));
});

describe('explain', () => {
  const failure = (message: string) => Object.assign(new Error(message), { statusCode: 400, json: { message } });
  it.each([
    ['exec: "/bin/sh": stat /bin/sh: no such file or directory', UserError, 'no /bin/sh'],
    ['exec /bin/sh: exec format error', UserError, 'another kind of processor'],
    ['exec: "nope": executable file not found in $PATH: unknown', UserError, 'no program nope'],
    ['No command specified', UserError, 'no command of its own'],
    ['bind source path does not exist: /x', PlatformError, 'another machine'],
    ['no space left on device', PlatformError, 'no space left'],
  ])('%s', (message, kind, text) => {
    const error = explain(failure(message), 'starting a container', 'acme/x');
    expect(error).toBeInstanceOf(kind);
    expect(error.message).toContain(text);
  });
});

describe('goMessage', () => {
  const request = { nonce: 'n', shell: 'sh', env: {}, given: [], artifacts: [], reports: [], inputs: 0 } as const;
  it('quotes values', () => {
    expect(goMessage({ ...request, env: { A: `it's $HOME` } })).toContain(`export A='it'"'"'s $HOME'`);
  });
  it.each(['A B', 'A;rm', '1A', ''])('refuses the name %j', (name) => {
    expect(() => goMessage({ ...request, env: { [name]: 'x' } })).toThrow(UserError);
  });
});

describe('listensOn', () => {
  const row = '   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000';
  it('finds listening sockets only', () => {
    expect(listensOn(row, 8080)).toBe(true);
    expect(listensOn(row, 8081)).toBe(false);
    expect(listensOn(row.replace(' 0A ', ' 01 '), 8080)).toBe(false);
  });
});

describe('connectDocker', () => {
  it.each(['ssh://host', 'fd://', 'tcp://'])('refuses %s', (host) =>
    expect(() => connectDocker(host)).toThrow(PlatformError),
  );
});
