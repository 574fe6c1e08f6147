import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import '#test/seeded.ts';
import { answer, errorMessage, event, match } from '#src/adapters/docker/proxy/rules.ts';
import { matchesName, matchesReference } from '#src/adapters/docker/proxy/filters.ts';
import { id, JOB } from './world.ts';

const P = JOB.imagePrefix;
const OTHER = { 'slipway.inner': '18-1', 'slipway.job': '18' };

function answered(url: string, json: unknown, pulled: readonly string[] = []): unknown {
  const matched = match('GET', url);
  if (matched.kind === 'refusal') throw new Error(matched.message);
  return answer(matched, json, JOB, pulled);
}
const filters = (value: unknown) => encodeURIComponent(JSON.stringify(value));

describe('lists', () => {
  const containers = [
    {
      Id: id('1'),
      Names: ['/slipway-17-1-db', '/slipway-17-1-web/db'],
      Image: `${P}/app:latest`,
      Labels: { a: 'b', ...JOB.labels },
      HostConfig: { NetworkMode: 'slipway-net-17' },
      NetworkSettings: { Networks: { 'slipway-net-17': { Aliases: null } } },
      Mounts: [{ Type: 'bind', Source: '/safe/x', Destination: '/x' }],
    },
    { Id: id('2'), Names: ['/slipway-17-1-web'], Image: 'alpine', Labels: JOB.labels, Mounts: [] },
    { Id: id('8'), Names: ['/slipway-18-1-db'], Image: 'x', Labels: OTHER },
    { Id: id('7'), Names: ['/postgres'], Image: 'x', Labels: { ...JOB.labels } },
    // The labels of an image that the job made, on a container of another's.
    { Id: id('5'), Names: ['/slipway-17-1-no'], Image: 'x', Labels: { ...JOB.labels, 'slipway.kind': 'job' } },
    { Id: id('6'), Names: ['/slipway-17-1-fake'], Image: 'x', Labels: {} },
  ];
  it("of containers: the job's own, as it named them", () => {
    expect(answered('/containers/json', containers)).toEqual([
      {
        Id: id('1'),
        Names: ['/db', '/web/db'],
        Image: 'app:latest',
        Labels: { a: 'b' },
        HostConfig: { NetworkMode: 'bridge' },
        NetworkSettings: { Networks: { bridge: { Aliases: null } } },
        Mounts: [{ Type: 'bind', Source: '', Destination: '/x' }],
      },
      { Id: id('2'), Names: ['/web'], Image: 'alpine', Labels: {}, Mounts: [] },
    ]);
    expect(
      answered(`/containers/json?filters=${filters({ name: ['^/?web$'.replace('?', '')] })}`, containers),
    ).toHaveLength(1);
    expect(answered(`/containers/json?limit=1&filters=${filters({ name: ['b'] })}`, containers)).toHaveLength(1);
  });
  it("of networks: the job's own and bridge", () => {
    const list = [
      { Name: 'bridge', Id: id('a'), Labels: {}, Containers: {} },
      { Name: 'host', Id: id('b'), Labels: {} },
      {
        Name: 'slipway-net-17',
        Id: id('c'),
        Labels: { 'slipway.job': '17' },
        Options: { 'com.docker.network.bridge.name': 'slw-n1' },
        Containers: {
          [id('1')]: { Name: 'slipway-17-1-db' },
          [id('f')]: { Name: 'slipway-job-17' },
          [id('8')]: { Name: 'slipway-18-1-x' },
        },
      },
      { Name: 'slipway-17-1-front', Id: id('3'), Labels: JOB.labels },
      { Name: 'slipway-18-1-front', Id: id('9'), Labels: OTHER },
    ];
    expect(answered('/networks', list)).toEqual([
      { Name: 'bridge', Id: id('c'), Labels: {}, Options: {}, Containers: { [id('1')]: { Name: 'db' } } },
      { Name: 'front', Id: id('3'), Labels: {}, Options: {} },
    ]);
    expect(answered(`/networks?filters=${filters({ name: ['fro'] })}`, list)).toMatchObject([{ Name: 'front' }]);
  });
  it('of volumes: without where they lie', () => {
    const list = {
      Volumes: [
        {
          Name: 'slipway-17-1-data',
          Driver: 'local',
          Mountpoint: '/var/lib/docker/volumes/x/_data',
          Labels: JOB.labels,
        },
        { Name: 'x', Labels: OTHER },
        { Name: 'y', Labels: null },
      ],
      Warnings: ['secret'],
    };
    expect(answered('/volumes', list)).toEqual({
      Volumes: [{ Name: 'data', Driver: 'local', Mountpoint: '', Labels: {}, Options: null }],
      Warnings: null,
    });
    expect(answered('/volumes', { Volumes: null })).toEqual({ Volumes: [], Warnings: null });
  });
  it('of images: those that the job made or pulled', () => {
    const list = [
      {
        Id: 'sha256:1',
        RepoTags: [`${P}/app:latest`, `${P}/localhost__5000/x:1`, 'slipway.local/secretofjob18/y:1', 'alpine:latest'],
        RepoDigests: ['alpine@sha256:1'],
      },
      { Id: 'sha256:2', RepoTags: ['alpine:latest'], RepoDigests: [] },
      { Id: 'sha256:3', RepoTags: ['operator/secret:1'], RepoDigests: [] },
      { Id: 'sha256:4', RepoTags: [`${P}/slipway.untagged/image:abc`], RepoDigests: [] },
      { Id: 'sha256:5', RepoTags: null, RepoDigests: null },
      { Id: 'sha256:6', RepoTags: ['slipway.local/secretofjob18/y:2'], RepoDigests: [] },
    ];
    const shown = (url: string, pulled: readonly string[] = []) =>
      (answered(url, list, pulled) as { Id: string; RepoTags: string[] }[]).map((one) => [one.Id, one.RepoTags]);
    expect(shown('/images/json')).toEqual([
      ['sha256:1', ['app:latest', 'localhost:5000/x:1']],
      ['sha256:4', []],
    ]);
    expect(shown('/images/json', ['alpine:latest'])).toEqual([
      ['sha256:1', ['app:latest', 'localhost:5000/x:1', 'alpine:latest']],
      ['sha256:2', ['alpine:latest']],
      ['sha256:4', []],
    ]);
    expect(shown(`/images/json?filters=${filters({ reference: ['app*'] })}`)).toEqual([['sha256:1', ['app:latest']]]);
    expect(shown(`/images/json?filters=${filters({ dangling: ['true'] })}`)).toEqual([['sha256:4', []]]);
  });
});

describe('one thing', () => {
  it('a container: no path of the host', () => {
    const shown = answered('/containers/db/json', {
      Id: id('1'),
      Name: '/slipway-17-1-db',
      LogPath: '/var/lib/docker/containers/x.log',
      ResolvConfPath: '/var/lib/docker/x',
      HostnamePath: '/var/lib/docker/x',
      HostsPath: '/var/lib/docker/x',
      GraphDriver: { Name: 'overlay2', Data: { UpperDir: '/var/lib/docker/overlay2/x' } },
      Config: { Image: `${P}/app:latest`, Labels: { ...JOB.labels, a: 'b' }, Env: ['A=1'] },
      HostConfig: {
        NetworkMode: 'slipway-net-17',
        Mounts: [
          { Type: 'bind', Source: JOB.workspaceSource, Target: '/w' },
          { Type: 'volume', Source: 'slipway-17-1-data', Target: '/d' },
        ],
      },
      Mounts: [
        { Type: 'bind', Source: JOB.workspaceSource },
        { Type: 'bind', Source: '/srv/slipway/private' },
        { Type: 'volume', Name: 'slipway-17-1-data', Source: '/var/lib/docker/volumes/slipway-17-1-data/_data' },
      ],
      NetworkSettings: {
        SandboxKey: '/var/run/docker/netns/x',
        Networks: { 'slipway-net-17': { IPAddress: '172.18.0.2' } },
      },
    });
    expect(JSON.stringify(shown)).not.toMatch(/\/var\/lib|\/srv|slipway|netns/);
    expect(shown).toMatchObject({
      Name: '/db',
      Config: { Image: 'app:latest', Labels: { a: 'b' }, Env: ['A=1'] },
      HostConfig: { NetworkMode: 'bridge', Mounts: [{ Source: '/workspace' }, { Source: 'data' }] },
      Mounts: [{ Source: '/workspace' }, { Source: '' }, { Name: 'data', Source: '' }],
      NetworkSettings: { Networks: { bridge: { IPAddress: '172.18.0.2' } } },
    });
  });
  it('an image: no names of others', () => {
    const shown = answered('/images/app/json', {
      Id: 'sha256:1',
      RepoTags: [
        `${P}/app:latest`,
        'slipway.local/secretofjob18/y:1',
        'alpine:latest',
        `${P}/slipway.untagged/image:1`,
      ],
      RepoDigests: ['slipway.local/secretofjob18/y@sha256:1', 'alpine@sha256:1'],
      GraphDriver: { Name: 'overlay2', Data: { x: '/var' } },
    });
    expect(shown).toMatchObject({
      RepoTags: ['app:latest', 'alpine:latest'],
      RepoDigests: ['alpine@sha256:1'],
      GraphDriver: { Data: null },
    });
    expect(
      answered('/images/app/history', [
        { Tags: [`${P}/app:latest`, 'slipway.local/secretofjob18/y:1'] },
        { Tags: null },
      ]),
    ).toEqual([{ Tags: ['app:latest'] }, { Tags: null }]);
  });
  it('the engine: nothing of the host', () => {
    const shown = answered('/info', {
      ID: 'ABCD',
      Name: 'host-1',
      DockerRootDir: '/var/lib/docker',
      Containers: 99,
      Images: 999,
      NCPU: 64,
      MemTotal: 1e12,
      HttpProxy: 'http://user:pass@proxy',
      Labels: ['a=b'],
      ServerVersion: '28.0',
      OSType: 'linux',
      Swarm: { NodeID: 'x' },
      Runtimes: { kata: {} },
      RegistryConfig: { Mirrors: ['x'] },
      Future: 'secret',
    });
    expect(JSON.stringify(shown)).not.toMatch(/host-1|ABCD|\/var|99|proxy|a=b|kata|secret|NodeID|Future/);
    expect(shown).toMatchObject({ ServerVersion: '28.0', OSType: 'linux', NCPU: 2, MemTotal: JOB.limits.memory });
  });
  it("what was pruned, in the client's names", () => {
    const matched = match('POST', '/volumes/prune');
    if (matched.kind === 'refusal') throw new Error();
    expect(answer(matched, { VolumesDeleted: ['slipway-17-1-data'], SpaceReclaimed: 1 }, JOB, [])).toEqual({
      VolumesDeleted: ['data'],
      SpaceReclaimed: 1,
    });
  });
});

describe('events', () => {
  const of = (Type: string, ID: string, Attributes: object = {}) =>
    event({ Type, Action: 'x', Actor: { ID, Attributes }, scope: 'local', time: 1 }, JOB);
  it("are the job's own", () => {
    expect(
      of('container', id('1'), { name: 'slipway-17-1-db', image: `${P}/app:latest`, ...JOB.labels, a: 'b' }),
    ).toEqual({
      Type: 'container',
      Action: 'x',
      Actor: { ID: id('1'), Attributes: { name: 'db', image: 'app:latest', a: 'b' } },
      scope: 'local',
      time: 1,
    });
    expect(of('network', id('3'), { name: 'slipway-17-1-front', container: id('1') })).toMatchObject({
      Actor: { Attributes: { name: 'front' } },
    });
    expect(of('volume', 'slipway-17-1-data')).toMatchObject({ Actor: { ID: 'data' } });
    expect(of('image', 'sha256:1', { name: `${P}/app:latest` })).toMatchObject({
      Actor: { Attributes: { name: 'app:latest' } },
    });
  });
  it("are nobody else's", () => {
    expect(of('container', id('8'), { name: 'slipway-18-1-db', ...OTHER })).toBeNull();
    expect(of('container', id('8'), { name: 'slipway-18-1-db', ...JOB.labels })).toBeNull();
    expect(of('container', id('8'), { name: 'slipway-17-1-db' })).toBeNull();
    expect(of('network', id('8'), { name: 'host' })).toBeNull();
    expect(of('volume', 'slipway-18-1-data')).toBeNull();
    expect(of('image', 'alpine:latest', { name: 'alpine' })).toBeNull();
    for (const type of ['daemon', 'plugin', 'node', 'secret', 'builder', '__proto__', 'constructor'])
      expect(of(type, id('1'), { name: 'slipway-17-1-x', ...JOB.labels })).toBeNull();
    for (const odd of [null, 1, 'x', [], {}, { Type: 'container' }]) expect(event(odd, JOB)).toBeNull();
  });
  it("a container's statistics are a stream of the same kind", () => {
    expect(event({ read: '2026', name: '/slipway-17-1-db', id: id('1') }, JOB)).toEqual({
      read: '2026',
      name: '/db',
      id: id('1'),
    });
  });
});

it("errors speak the client's names", () => {
  expect(errorMessage(`Conflict. The container name "/slipway-17-1-db" is already in use`, JOB)).toBe(
    'Conflict. The container name "/db" is already in use',
  );
  expect(errorMessage(`pull access denied for ${P}/localhost__5000/x, network slipway-net-17`, JOB)).toBe(
    'pull access denied for localhost:5000/x, network bridge',
  );
  expect(errorMessage(`mkdir ${JOB.workspaceSource}/a: file exists`, JOB)).toBe('mkdir /workspace/a: file exists');
});

it("whatever the engine answers, nothing of Slipway's is in it and nothing crashes", () => {
  const text = fc.oneof(
    fc.string(),
    fc.constantFrom('/slipway-17-1-db', `${P}/app`, 'slipway-net-17', String(JOB.workspaceSource), `${P}/a__1/b`),
  );
  const json = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      text,
      fc.constant(null),
      fc.integer(),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(
        fc.oneof(
          text,
          fc.constantFrom(
            'Labels',
            'Names',
            'Mounts',
            'HostConfig',
            'NetworkSettings',
            'RepoTags',
            'slipway.job',
            '__proto__',
          ),
        ),
        tie('value'),
        { maxKeys: 4 },
      ),
    ),
  })).value;
  fc.assert(
    fc.property(
      json,
      fc.constantFrom(
        '/containers/json',
        '/containers/db/json',
        '/networks',
        '/networks/front',
        '/volumes',
        '/volumes/data',
        '/images/json',
        '/images/app/json',
        '/images/app/history',
        '/info',
        '/version',
        '/containers/db/top',
      ),
      (value, url) => {
        const shown = JSON.stringify(answered(url, value)) ?? '';
        expect(shown).not.toMatch(/slipway-17-1-|secretofjob17\/|\/var\/lib\/slipway/);
        event(value, JOB);
      },
    ),
    { numRuns: 3000 },
  );
});

it('names are compared without a regular expression', () => {
  expect([
    matchesName('db', 'my-db-1'),
    matchesName('^db', 'my-db'),
    matchesName('^/db$', 'db'),
    matchesName('db$', 'my-db'),
    matchesName('^db$', 'db2'),
    matchesName('', 'x'),
  ]).toEqual([true, false, true, true, false, true]);
  expect([
    matchesReference('app', 'app:1'),
    matchesReference('app:*', 'app:1'),
    matchesReference('*', 'app:1'),
    matchesReference('*/app', 'u/app:1'),
    matchesReference('u/*', 'u/a/b:1'),
    matchesReference('b?', 'app:1'),
  ]).toEqual([true, true, true, true, false, false]);
  // Bounded steps: it would never end with a backtracking comparison.
  expect(matchesReference('*a'.repeat(400), `${'a'.repeat(20_000)}b`)).toBe(false);
});
