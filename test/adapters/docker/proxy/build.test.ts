import { describe, expect, it, test } from '@jest/globals';
import * as fc from 'fast-check';
import '#test/seeded.ts';
import { id, ask, JOB, NONCE, queryOf, refusalOf, sent } from './world.ts';

const P = JOB.imagePrefix;
const query = (text: string) => Object.fromEntries(queryOf(sent('POST', `/v1.41/build?${text}`)));
const json = (value: unknown) => encodeURIComponent(JSON.stringify(value));

describe("a stranger's build", () => {
  const job = { ...JOB, trusted: false };
  it('begins with what a registry gives it: FROM 3f would be any image of the engine', () => {
    for (const text of ['', 'pull=0', 'pull=', 'pull=false', 'pull=1', 'pull=0&pull=1', 'version=1&pull=no']) {
      expect(queryOf(sent('POST', `/build?${text}`, '', job)).get('pull')).toBe('1');
    }
    expect(queryOf(sent('POST', '/build?t=a')).get('pull')).toBeNull();
  });
  it("isn't by BuildKit, whose steps no limit holds", () => {
    expect(refusalOf('POST', '/build?version=2&session=x', '', job)).toMatch(/^403 .*DOCKER_BUILDKIT=0/);
    expect(refusalOf('POST', '/session', '', job)).toMatch(/^403 .*DOCKER_BUILDKIT=0/);
  });
});

describe('a classic build', () => {
  it('as the docker client sends it', () => {
    const request = sent(
      'POST',
      '/v1.41/build?buildargs=%7B%7D&cachefrom=%5B%5D&cgroupparent=&cpuperiod=0&cpuquota=0&cpusetcpus=&cpusetmems=&cpushares=0&dockerfile=Dockerfile&labels=%7B%7D&memory=0&memswap=0&networkmode=default&rm=1&shmsize=0&t=app&target=&ulimits=null&version=1',
    );
    expect(request).toMatchObject({ method: 'POST', body: 'stream', answer: 'stream', headers: ['x-registry-config'] });
    expect(Object.fromEntries(queryOf(request))).toEqual({
      version: '1',
      t: `${P}/app:latest`,
      dockerfile: 'Dockerfile',
      labels: '{}',
      networkmode: 'slipway-net-17',
      rm: '1',
      forcerm: '1',
      memory: String(JOB.limits.memory / 2),
      memswap: String(JOB.limits.memory / 2),
      cpuperiod: '100000',
      cpuquota: '200000',
      cpushares: '512',
      cachefrom: `["${P}/app:latest"]`,
    });
  });
  it('has a private name where none is given', () => {
    expect(query('')['t']).toBe(`${P}/slipway.untagged/image:${NONCE}`);
  });
  it('several tags', () => {
    expect(queryOf(sent('POST', '/build?t=a&t=ghcr.io/acme/b:1')).getAll('t')).toEqual([
      `${P}/a:latest`,
      `${P}/ghcr.io/acme/b:1`,
    ]);
  });
  it("limits up to the job's", () => {
    expect(
      query('memory=1000000&memswap=-1&cpuquota=50000&cpuperiod=100000&shmsize=99999999999999&rm=0&forcerm=0'),
    ).toMatchObject({
      memory: '1000000',
      memswap: '1000000',
      cpuquota: '50000',
      shmsize: String(JOB.limits.memory),
      rm: '1',
      forcerm: '1',
    });
    expect(query('memory=99999999999999&cpuquota=99999999')).toMatchObject({
      memory: String(JOB.limits.memory),
      cpuquota: '200000',
    });
  });
  it('shares the network of an own container', () => {
    expect(query('networkmode=container:db')['networkmode']).toBe(`container:${id('1')}`);
    expect(query('networkmode=front')['networkmode']).toBe('slipway-17-1-front');
    expect(query('networkmode=none')['networkmode']).toBe('none');
  });
  it('arguments, labels, hosts, caches', () => {
    expect(
      query(
        `buildargs=${json({ A: '1', B: null })}&labels=${json({ a: 'b' })}&extrahosts=db:10.0.0.1&cachefrom=${json(['app', 'alpine', 'private.example/x', 'nothing'])}&target=prod&platform=linux/arm64`,
      ),
    ).toMatchObject({
      buildargs: '{"A":"1","B":null}',
      labels: '{"a":"b"}',
      extrahosts: 'db:10.0.0.1',
      cachefrom: `["${P}/slipway.untagged/image:${NONCE}","${P}/app:latest","docker.io/library/alpine:latest"]`,
      target: 'prod',
      platform: 'linux/arm64',
    });
  });
});

describe('a build with BuildKit', () => {
  it('as the docker client sends it', () => {
    expect(
      query(
        `version=2&session=abc123&buildid=deadbeef&remote=client-session&t=app&networkmode=default&outputs=${json([{ Type: 'local', Attrs: {} }])}`,
      ),
    ).toMatchObject({
      version: '2',
      session: 'abc123',
      buildid: 'slipway-17-1-deadbeef',
      remote: 'client-session',
      outputs: '[{"Type":"local","Attrs":{}}]',
    });
    expect(query('version=2&networkmode=default')).not.toHaveProperty('networkmode');
    expect(query('version=2&networkmode=none')['networkmode']).toBe('none');
    expect(query('version=2&remote=upload-request&buildid=upload-request:abc')['buildid']).toBe(
      'upload-request:slipway-17-1-abc',
    );
    expect(queryOf(sent('POST', '/build/cancel?id=deadbeef')).get('id')).toBe('slipway-17-1-deadbeef');
  });
  it('takes no layer that another repository or a stranger made', () => {
    const own = 'slipway-cache-of-acme-app:127.0.0.1';
    expect(queryOf(sent('POST', '/build?version=2')).getAll('extrahosts')).toEqual([own]);
    const hosts = queryOf(sent('POST', '/build?version=2&extrahosts=slipway-other:127.0.0.1')).getAll('extrahosts');
    expect(hosts).toEqual(['slipway-other:127.0.0.1', own]);
    // The classic builder has no such key: it is told whose images it may take.
    expect(query('t=app&cachefrom=%5B%5D')['cachefrom']).toBe(`["${P}/app:latest"]`);
    expect(query('')['cachefrom']).toMatch(/^\["slipway.local\/secretofjob17\//);
  });
  it('has cache mounts of its own, whatever the client says', () => {
    expect(query(`version=2&buildargs=${json({ BUILDKIT_CACHE_MOUNT_NS: 'other', A: '1' })}`)['buildargs']).toBe(
      '{"BUILDKIT_CACHE_MOUNT_NS":"cache-of-acme-app","A":"1"}',
    );
    expect(query('version=2')['buildargs']).toBe('{"BUILDKIT_CACHE_MOUNT_NS":"cache-of-acme-app"}');
  });
});

describe('refused', () => {
  test.each([
    ["the host's network", 'networkmode=host'],
    ["the host's network, BuildKit", 'version=2&networkmode=host'],
    ["another container's network", `networkmode=container:${id('9')}`],
    ["another job's network", 'networkmode=slipway-net-18'],
    ['a network with BuildKit', 'version=2&networkmode=front'],
    ['cgroup parent', 'cgroupparent=/'],
    ['security options', 'securityopt=seccomp=unconfined'],
    ['security options after an empty one', 'securityopt=&securityopt=label:disable'],
    ['a context from an address', 'remote=http://169.254.169.254/latest/meta-data'],
    ['a context from git', 'remote=git://10.0.0.1/x.git%23main'],
    ['a context from a file', 'version=2&remote=file:///etc'],
    ['a session without BuildKit', 'remote=client-session'],
    ['squash', 'squash=1'],
    ['isolation', 'isolation=hyperv'],
    [
      'an image output that pushes',
      `version=2&outputs=${json([{ Type: 'image', Attrs: { name: 'x', push: 'true' } }])}`,
    ],
    ['an image output', `version=2&outputs=${json([{ Type: 'moby', Attrs: { name: 'alpine' } }])}`],
    ['attributes of an output', `version=2&outputs=${json([{ Type: 'tar', Attrs: { name: 'alpine' } }])}`],
    ['outputs in lower case', `version=2&outputs=${json([{ type: 'image' }])}`],
    ['outputs without BuildKit', `outputs=${json([{ Type: 'tar' }])}`],
    ['a builder of tomorrow', 'version=3'],
    ['a shared tag', 't=slipway.local/secretofjob18/x'],
    ['a tag with a digest', `t=x@sha256:${id('a')}`],
    ['a tag that is none', 't=../x'],
    ['two tags in one', 't=a,b'],
    ['our labels', `labels=${json({ 'slipway.job': '18' })}`],
    ['labels twice', `labels=${encodeURIComponent('{"a":"1","a":"2"}')}`],
    ['arguments that are no texts', `buildargs=${json({ A: { b: 1 } })}`],
    ['arguments that are no object', `buildargs=${json(['A'])}`],
    ['a cache with a comma', `version=2&cachefrom=${json(['a,type=local,src=/etc'])}`],
    ['a cache of another job', `version=2&cachefrom=${json(['slipway.local/secretofjob18/x'])}`],
    ['a ulimit', `ulimits=${json([{ Name: 'nice', Soft: 1, Hard: 1 }])}`],
    ['a host with a newline', 'extrahosts=a:1.1.1.1%0a'],
    ['a host that is none', 'extrahosts=a%20b'],
    ['entitlements', 'version=2&entitlements=security.insecure'],
    ['cpus with letters', 'cpusetcpus=a'],
    ['memory with letters', 'memory=1g'],
    ["another build's id", 'buildid=a/b'],
  ])('%s', (_, text) => {
    expect(refusalOf('POST', `/build?${text}`)).toMatch(/^40[034] /);
  });
});

it("whatever is asked, the names are the job's and the limits hold", () => {
  const name = fc.constantFrom(
    't',
    'version',
    'networkmode',
    'remote',
    'cachefrom',
    'buildargs',
    'labels',
    'memory',
    'outputs',
    'extrahosts',
    'target',
    'q',
    'pull',
    'buildid',
    'session',
    'ulimits',
    'securityopt',
    'cgroupparent',
    'x',
  );
  const value = fc.oneof(
    fc.constantFrom(
      '',
      '1',
      '2',
      'host',
      'default',
      'none',
      'app',
      'client-session',
      '[]',
      '{}',
      'null',
      '-1',
      P,
      'http://x',
    ),
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.json({ maxDepth: 2 }),
  );
  let through = 0;
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value), { maxLength: 4 }), (pairs) => {
      const text = pairs.map(([key, one]) => `${key}=${encodeURIComponent(one)}`).join('&');
      const { order } = ask('POST', `/build?${text}`);
      if (order.kind !== 'request') return;
      through += 1;
      const params = queryOf(order);
      expect(params.getAll('t').every((tag) => tag.startsWith(`${P}/`))).toBe(true);
      expect(params.getAll('t').length).toBeGreaterThan(0);
      expect(['slipway-net-17', 'none', null]).toContain(params.get('networkmode'));
      expect(Number(params.get('memory'))).toBeLessThanOrEqual(JOB.limits.memory);
      expect(['', null, 'client-session', 'upload-request']).toContain(params.get('remote'));
      expect(params.has('securityopt') || params.has('cgroupparent')).toBe(false);
    }),
    { numRuns: 5000 },
  );
  expect(through).toBeGreaterThan(200);
});
