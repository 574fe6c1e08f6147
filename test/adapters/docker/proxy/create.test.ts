import { describe, expect, it, test } from '@jest/globals';
import { ATTACKS, BODY_ATTACKS } from './attacks.ts';
import { dangersOf } from './dangers.ts';
import { HARMLESS } from './harmless.ts';
import type { EngineRequest } from '#src/adapters/docker/proxy/contract.ts';
import { ask, create, id, JOB, jsonOf, NONCE, queryOf, refusalOf, sent } from './world.ts';

type Json = Record<string, unknown>;
const made = (body: unknown, job = JOB): Json => {
  const { order } = create(body, job);
  if (order.kind !== 'request') throw new Error(JSON.stringify(order));
  return jsonOf(order);
};
const run = (HostConfig: Json, job = JOB): Json => made({ Image: 'alpine', HostConfig }, job)['HostConfig'] as Json;

describe('what reaches out of a container is refused', () => {
  test.each(ATTACKS)('%s', (_, HostConfig) => {
    const { order } = create({ Image: 'alpine', HostConfig });
    expect(order).toMatchObject({ kind: 'refusal' });
    expect([400, 403, 404]).toContain((order as { status: number }).status);
    expect((order as { message: string }).message).toMatch(/^[\x20-\x7e]{15,600}$/);
  });

  test.each(BODY_ATTACKS)('body: %s', (_, body) => {
    expect(ask('POST', '/v1.41/containers/create', body).order).toMatchObject({ kind: 'refusal' });
  });

  it('says which option, and why', () => {
    const message = (HostConfig: Json) => refusalOf('POST', '/containers/create', { Image: 'alpine', HostConfig });
    expect(message({ Privileged: true })).toMatch(
      /^403 Not in a job: --privileged \(HostConfig.Privileged\) would let/,
    );
    expect(message({ privileged: true })).toMatch(
      /`HostConfig.privileged` is not known here. It is written `Privileged`/,
    );
    expect(message({ Binds: ['/etc:/etc'] })).toMatch(/`\/etc` can't be mounted: only the workspace/);
    expect(message({ PidMode: 'host' })).toMatch(/--pid \(HostConfig.PidMode\) `host`/);
    expect(message({ CapAdd: ['SYS_ADMIN'] })).toMatch(/`SYS_ADMIN` \(--cap-add\)/);
    expect(message({ NetworkMode: 'host' })).toMatch(/--network \(HostConfig.NetworkMode\) `host`/);
    expect(message({ NetworkMode: 'container:other' })).toBe('404 No such container: other');
  });
});

describe('what is harmless goes on, and has no danger in it', () => {
  test.each(HARMLESS)('%s', (_, body) => {
    const json = made(body);
    expect(dangersOf(json, JOB)).toEqual([]);
    // Twice the same: the rules depend on nothing else.
    expect(made(body)).toEqual(json);
  });

  it('counts enough cases', () => {
    expect(ATTACKS.length + BODY_ATTACKS.length + HARMLESS.length).toBeGreaterThan(190);
  });
});

describe('what a container becomes', () => {
  it('has the private name, the labels, the limits of the job', () => {
    const request = sent('POST', '/v1.41/containers/create?name=db&platform=linux/amd64', {
      Image: 'alpine',
      Labels: { a: 'b' },
      Env: ['A=1'],
    });
    expect(queryOf(request).get('name')).toBe('slipway-17-1-db');
    expect(queryOf(request).get('platform')).toBe('linux/amd64');
    expect(jsonOf(request)).toMatchObject({
      Image: 'alpine:latest',
      Env: ['A=1'],
      Labels: { a: 'b', ...JOB.labels },
      HostConfig: {
        Memory: JOB.limits.memory / 4,
        MemorySwap: JOB.limits.memory / 4,
        CpuShares: 256,
        NanoCpus: 2e9,
        PidsLimit: 128,
        NetworkMode: 'slipway-net-17',
        CapDrop: ['ALL'],
        CapAdd: JOB.capabilities,
      },
      NetworkingConfig: { EndpointsConfig: { 'slipway-net-17': { Aliases: ['db'] } } },
    });
  });

  it('has a name even if the client gives none', () => {
    expect(queryOf(sent('POST', '/containers/create', { Image: 'alpine' })).get('name')).toBe(`slipway-17-1-${NONCE}`);
  });

  it('takes the image of the job before the shared one of that name', () => {
    expect(made({ Image: 'app' })['Image']).toBe('slipway.local/secretofjob17/app:latest');
    expect(made({ Image: 'slipway.local/secretofjob17/app' })['Image']).toBe('slipway.local/secretofjob17/app:latest');
    expect(made({ Image: 'docker.io/library/alpine:latest' })['Image']).toBe('alpine:latest');
    expect(made({ Image: 'aaaaaaaaaaaa' })['Image']).toBe(`sha256:${id('a')}`);
    expect(refusalOf('POST', '/containers/create', { Image: 'busybox' })).toBe('404 No such image: busybox:latest');
  });

  it("keeps limits at the job's, or below where asked", () => {
    expect(run({ Memory: 1e15, NanoCpus: 64e9, PidsLimit: -1 })).toMatchObject({
      Memory: 2 * 1024 ** 3,
      NanoCpus: 2e9,
      PidsLimit: 128,
      CpuShares: 1024,
    });
    expect(run({ PidsLimit: 1e9, CpuShares: 262_144 })).toMatchObject({ PidsLimit: 512, CpuShares: 256 });
    expect(run({ Memory: 64e6, MemorySwap: -1, NanoCpus: 5e8, PidsLimit: 10 })).toMatchObject({
      Memory: 64e6,
      MemorySwap: 64e6,
      NanoCpus: 5e8,
      PidsLimit: 10,
    });
    expect(run({ CpuQuota: 50_000, CpuPeriod: 100_000 })).toMatchObject({ NanoCpus: 5e8 });
    expect(run({ CpuQuota: 900_000 })).toMatchObject({ NanoCpus: 2e9 });
    expect(run({ ShmSize: 1e15 })['ShmSize']).toBe(JOB.limits.memory);
    expect(run({}, { ...JOB, limits: { ...JOB.limits, cpus: null } })).not.toHaveProperty('NanoCpus');
  });

  it('is not checked so often that the engine has nothing else to do', () => {
    const checked = made({ Image: 'alpine', Healthcheck: { Test: ['CMD', 'x'], Interval: 1, StartInterval: 2e9 } });
    expect(checked['Healthcheck']).toMatchObject({ Interval: 500_000_000, StartInterval: 2e9 });
  });

  it('drops capabilities, adds those of the job', () => {
    expect(run({ CapDrop: ['ALL'], CapAdd: ['cap_chown'] })['CapAdd']).toEqual(['CHOWN']);
    expect(run({ CapDrop: ['KILL'] })['CapAdd']).toEqual(JOB.capabilities.filter((name) => name !== 'KILL'));
  });

  it('sees the workspace, and nothing else of the host', () => {
    expect(run({ Binds: ['/workspace:/app:ro'] })['Mounts']).toEqual([
      {
        Type: 'bind',
        Source: JOB.workspaceSource,
        Target: '/app',
        ReadOnly: true,
        BindOptions: { Propagation: 'rprivate' },
      },
    ]);
    const { needs, order } = create({ Image: 'alpine', HostConfig: { Binds: ['/workspace/a/./b//c/:/app'] } });
    expect(needs?.binds).toEqual([{ source: '/workspace/a/b/c', path: 'a/b/c', create: true }]);
    expect(order).toMatchObject({
      kind: 'request',
      body: { json: { HostConfig: { Mounts: [{ Type: 'bind', Source: '/safe/a/b/c' }] } } },
    });
    expect(
      create({ Image: 'alpine', HostConfig: { Mounts: [{ Type: 'bind', Source: '/workspace/x', Target: '/x' }] } })
        .needs?.binds,
    ).toEqual([{ source: '/workspace/x', path: 'x', create: false }]);
    expect(run({ Binds: ['/var/run/docker.sock:/var/run/docker.sock'] })['Mounts']).toMatchObject([
      { Source: JOB.socketSource },
    ]);
  });

  it("takes the server's word on a path below the workspace", () => {
    const body = { Image: 'alpine', HostConfig: { Binds: ['/workspace/link:/x:ro'] } };
    const url = '/containers/create';
    expect(
      ask('POST', url, body, JOB, { refusal: '`/workspace/link` leads out of the workspace.' }).order,
    ).toMatchObject({ status: 403 });
    expect(ask('POST', url, body, JOB, { volume: 'slipway-17-1-ws', subpath: 'link' }).order).toMatchObject({
      body: {
        json: {
          HostConfig: {
            Mounts: [{ Type: 'volume', Source: 'slipway-17-1-ws', ReadOnly: true, VolumeOptions: { Subpath: 'link' } }],
          },
        },
      },
    });
    const far = { ...JOB, workspaceSource: null, socketSource: null };
    expect(refusalOf('POST', url, body, far)).toMatch(/isn't on the engine's host/);
    expect(refusalOf('POST', url, { Image: 'alpine', HostConfig: { Binds: ['/run/docker.sock:/s'] } }, far)).toMatch(
      /socket/,
    );
  });

  it('has volumes under private names, with the labels by which they are removed', () => {
    const mounts = run({ Binds: ['data:/d', 'new:/n:nocopy', '/anonymous'] })['Mounts'];
    expect(mounts).toEqual([
      { Type: 'volume', Source: 'slipway-17-1-data', Target: '/d', VolumeOptions: { Labels: JOB.labels } },
      { Type: 'volume', Source: 'slipway-17-1-new', Target: '/n', VolumeOptions: { Labels: JOB.labels, NoCopy: true } },
      { Type: 'volume', Target: '/anonymous', VolumeOptions: { Labels: JOB.labels } },
    ]);
    expect(made({ Image: 'alpine', Volumes: { '/v': {} } })['HostConfig']).toMatchObject({
      Mounts: [{ Type: 'volume', Target: '/v' }],
    });
  });

  it("opens no ports of the host, and starts again by nobody's hand", () => {
    const host = run({
      PortBindings: { '80/tcp': [{ HostPort: '80' }] },
      PublishAllPorts: true,
      RestartPolicy: { Name: 'always' },
    });
    expect(host).not.toHaveProperty('PortBindings');
    expect(host).toMatchObject({ PublishAllPorts: false, RestartPolicy: { Name: 'no' } });
  });

  it('shares the network of its own containers, and of the job', () => {
    expect(run({ NetworkMode: 'container:db' })['NetworkMode']).toBe(`container:${id('1')}`);
    expect(run({ NetworkMode: `container:${'f'.repeat(12)}` })['NetworkMode']).toBe(`container:${id('f')}`);
    expect(run({ NetworkMode: 'front' })['NetworkMode']).toBe('slipway-17-1-front');
    expect(run({ NetworkMode: 'none' })['NetworkMode']).toBe('none');
    expect(run({ NetworkMode: 'bridge' })['NetworkMode']).toBe('slipway-net-17');
    expect(made({ Image: 'alpine', HostConfig: { NetworkMode: 'container:db' } })).not.toHaveProperty(
      'NetworkingConfig',
    );
  });

  it('has no network in a job without one', () => {
    const alone = { ...JOB, network: null };
    // As the docker client sends it, whatever is asked for.
    const usual = { Image: 'alpine', HostConfig: { NetworkMode: 'default' } };
    for (const name of ['default', 'bridge']) {
      const body = { ...usual, NetworkingConfig: { EndpointsConfig: { [name]: {} } } };
      expect(jsonOf(create(body, alone).order as EngineRequest)).toMatchObject({ HostConfig: { NetworkMode: 'none' } });
    }
    expect(run({}, alone)['NetworkMode']).toBe('none');
    expect(run({ NetworkMode: 'bridge' }, alone)['NetworkMode']).toBe('none');
    expect(made({ Image: 'alpine' }, alone)).not.toHaveProperty('NetworkingConfig');
  });

  it("is the job's own container only for its network", () => {
    const body = { Image: 'alpine', HostConfig: { NetworkMode: `container:${id('f')}`, VolumesFrom: [id('f')] } };
    expect(refusalOf('POST', '/containers/create', body)).toMatch(/^404/);
  });

  it("is given the operator's runtime", () => {
    const kata = { ...JOB, runtime: 'kata' };
    expect(run({}, kata)['Runtime']).toBe('kata');
    expect(run({ Runtime: 'kata' }, kata)['Runtime']).toBe('kata');
    expect(refusalOf('POST', '/containers/create', { Image: 'alpine', HostConfig: { Runtime: 'runc' } }, kata)).toMatch(
      /operator/,
    );
  });
});
