import { describe, expect, it, test } from '@jest/globals';
import * as fc from 'fast-check';
import '#test/seeded.ts';
import { ask, id, JOB, jsonOf, NONCE, queryOf, refusalOf, sent } from './world.ts';

const OURS = Object.entries(JOB.labels).map(([name, value]) => `${name}=${value}`);

describe('networks', () => {
  const create = (body: object) => jsonOf(sent('POST', '/networks/create', body));
  it("are bridges with the server's options, which the job joins", () => {
    const request = sent('POST', '/v1.41/networks/create', {
      CheckDuplicate: true,
      Driver: 'bridge',
      EnableIPv6: false,
      IPAM: { Driver: 'default', Options: {}, Config: [] },
      Internal: false,
      Attachable: false,
      Ingress: false,
      ConfigOnly: false,
      ConfigFrom: null,
      Labels: { 'com.docker.compose.network': 'default', 'com.docker.compose.project': 'proj' },
      Name: 'proj_default',
      Options: null,
      Scope: '',
    });
    expect(request.effect).toEqual({ do: 'join' });
    expect(jsonOf(request)).toEqual({
      Name: 'slipway-17-1-proj_default',
      CheckDuplicate: true,
      Driver: 'bridge',
      Internal: false,
      Attachable: false,
      EnableIPv6: false,
      Options: { 'com.docker.network.bridge.name': `slw-n${NONCE.slice(0, 8)}` },
      Labels: { 'com.docker.compose.network': 'default', 'com.docker.compose.project': 'proj', ...JOB.labels },
    });
    expect(create({ Name: 'a', Options: { 'com.docker.network.driver.mtu': '1400' } })['Options']).toMatchObject({
      'com.docker.network.driver.mtu': '1400',
    });
    expect(create({ Name: 'a', Internal: true })['Internal']).toBe(true);
  });
  it('of a job without network lead nowhere', () => {
    expect(
      jsonOf(sent('POST', '/networks/create', { Name: 'a', Internal: false }, { ...JOB, network: null }))['Internal'],
    ).toBe(true);
    expect(refusalOf('GET', '/networks/bridge', '', { ...JOB, network: null })).toMatch(/no network.*--network none/);
    const strange = { ...JOB, network: null, trusted: false };
    expect(refusalOf('GET', '/networks/bridge', '', strange)).toMatch(/a stranger's commit/);
  });
  test.each([
    ['macvlan', { Driver: 'macvlan' }],
    ['ipvlan', { Driver: 'ipvlan' }],
    ['host', { Driver: 'host' }],
    ['overlay', { Driver: 'overlay' }],
    ['a plugin', { Driver: 'weaveworks/net-plugin' }],
    ['driver in lower case', { driver: 'macvlan' }],
    ['the bridge of another', { Options: { 'com.docker.network.bridge.name': 'docker0' } }],
    ["the host's address", { Options: { 'com.docker.network.bridge.host_binding_ipv4': '0.0.0.0' } }],
    ['masquerading off', { Options: { 'com.docker.network.bridge.enable_ip_masquerade': 'false' } }],
    ['a parent', { Options: { parent: 'eth0' } }],
    ['an MTU that is none', { Options: { 'com.docker.network.driver.mtu': '1; x' } }],
    ['a subnet', { IPAM: { Config: [{ Subnet: '10.0.0.0/8' }] } }],
    ['a gateway', { IPAM: { Config: [{ Gateway: '169.254.169.254' }] } }],
    ['another IPAM', { IPAM: { Driver: 'dhcp' } }],
    ['options of IPAM', { IPAM: { Options: { a: 'b' } } }],
    ['IPv6', { EnableIPv6: true }],
    ['no IPv4', { EnableIPv4: false }],
    ['swarm', { Scope: 'swarm' }],
    ['ingress', { Ingress: true }],
    ['configuration of another', { ConfigFrom: { Network: 'x' } }],
    ['our labels', { Labels: { 'slipway.kind': 'job' } }],
    ['the name bridge', { Name: 'bridge' }],
    ['the name host', { Name: 'host' }],
    ['a name with a slash', { Name: 'a/b' }],
    ['no name', { Name: '' }],
    ['an unknown option', { Peers: ['x'] }],
  ])('refused: %s', (_, body) => {
    expect(refusalOf('POST', '/networks/create', { Name: 'a', ...body })).toMatch(/^40[03] /);
  });
  it("connect and disconnect what is the job's", () => {
    expect(
      jsonOf(sent('POST', '/networks/front/connect', { Container: '/db', EndpointConfig: { Aliases: ['x'] } })),
    ).toEqual({
      Container: id('1'),
      EndpointConfig: { Aliases: ['x', 'db'] },
    });
    expect(sent('POST', '/networks/bridge/connect', { Container: 'db' }).path).toBe('/networks/slipway-net-17/connect');
    expect(jsonOf(sent('POST', '/networks/front/disconnect', { Container: 'db', Force: true }))).toEqual({
      Container: id('1'),
      Force: true,
    });
    for (const url of ['/networks/front/connect', '/networks/front/disconnect', '/networks/bridge/connect']) {
      for (const Container of ['other', id('9'), id('f'), '', '../x'])
        expect(refusalOf('POST', url, { Container })).toMatch(/^40[04]/);
    }
    expect(refusalOf('POST', '/networks/host/connect', { Container: 'db' })).toMatch(/^404/);
    expect(
      refusalOf('POST', '/networks/front/connect', { Container: 'db', EndpointConfig: { DriverOpts: { a: 'b' } } }),
    ).toMatch(/^403/);
  });
  it('leaves the network before it is removed; its own stays', () => {
    expect(sent('DELETE', '/networks/front')).toMatchObject({
      path: `/networks/${id('3')}`,
      effect: { do: 'leave', network: id('3') },
    });
    expect(refusalOf('DELETE', '/networks/bridge')).toMatch(/stays/);
    expect(refusalOf('DELETE', '/networks/slipway-net-17')).toMatch(/stays/);
  });
});

describe('volumes', () => {
  it('are local, private and labelled', () => {
    expect(
      jsonOf(sent('POST', '/volumes/create', { Name: 'cache', Driver: 'local', DriverOpts: {}, Labels: { a: 'b' } })),
    ).toEqual({
      Name: 'slipway-17-1-cache',
      Driver: 'local',
      Labels: { a: 'b', ...JOB.labels },
    });
    expect(jsonOf(sent('POST', '/volumes/create', {}))['Name']).toBe(`slipway-17-1-${NONCE}`);
    expect(jsonOf(sent('POST', '/volumes/create', { Name: 'data' }))['Name']).toBe('slipway-17-1-data');
  });
  test.each([
    ['a bind mount by options', { DriverOpts: { type: 'none', o: 'bind', device: '/' } }],
    ['NFS', { DriverOpts: { type: 'nfs', o: 'addr=10.0.0.1', device: ':/' } }],
    ['tmpfs by options', { DriverOpts: { type: 'tmpfs' } }],
    ['options in lower case', { driveropts: { type: 'none' } }],
    ['options as text', { DriverOpts: 'o=bind' }],
    ['another driver', { Driver: 'vieux/sshfs' }],
    ['a cluster volume', { ClusterVolumeSpec: { Group: 'x' } }],
    ['our labels', { Labels: { 'slipway.job': '1' } }],
    ['a path for a name', { Name: '../x' }],
    ['a path', { Name: '/etc' }],
  ])('refused: %s', (_, body) => {
    expect(refusalOf('POST', '/volumes/create', { Name: 'a1', ...body })).toMatch(/^40[03] /);
  });
});

describe('containers', () => {
  test.each([
    ['DELETE', '/containers/db', `/containers/${id('1')}?v=1`],
    ['DELETE', '/containers/db?force=true&v=0', `/containers/${id('1')}?v=1&force=1`],
    ['POST', '/containers/db/rename?name=/new', `/containers/${id('1')}/rename?name=slipway-17-1-new`],
    ['POST', '/containers/db/start?detachKeys=ctrl-p', `/containers/${id('1')}/start`],
    ['GET', '/containers/db/top?ps_args=-ef', `/containers/${id('1')}/top?ps_args=-ef`],
    ['POST', '/containers/db/kill?signal=SIGTERM', `/containers/${id('1')}/kill?signal=SIGTERM`],
    ['GET', '/containers/db/archive?path=/a%20b', `/containers/${id('1')}/archive?path=%2Fa%20b`],
    ['GET', `/containers/${'1'.repeat(12)}/logs?follow=1&stdout=true`, `/containers/${id('1')}/logs?follow=1&stdout=1`],
  ])('%s %s', (method, url, path) => {
    expect(sent(method, url).path).toBe(path);
  });
  test.each([
    ['POST', '/containers/db/start?checkpoint=x'],
    ['POST', '/containers/db/start?checkpoint-dir=/etc'],
    ['DELETE', '/containers/db?link=1'],
    ['POST', '/containers/db/rename?name=a/b'],
    ['POST', '/containers/db/rename'],
    ['GET', '/containers/db/top?ps_args=-o%20pid%3DPID'],
    ['GET', '/containers/db/top?ps_args=--help%20x'],
    ['GET', '/containers/db/top?ps_args=-e%20%3B%20reboot'],
  ])('refused: %s %s', (method, url) => {
    expect(refusalOf(method, url)).toMatch(/^40[03] /);
  });
  it('a start takes no options, as engines did once', () => {
    expect(sent('POST', '/containers/db/start', { Privileged: true }).body).toBe('none');
  });
  it('exec is never privileged', () => {
    expect(
      jsonOf(
        sent('POST', '/containers/db/exec', {
          AttachStdout: true,
          Cmd: ['ls'],
          Env: ['A=1'],
          Privileged: false,
          User: 'root',
          Container: 'x',
          ConsoleSize: [40, 80],
        }),
      ),
    ).toEqual({
      AttachStdout: true,
      Cmd: ['ls'],
      Env: ['A=1'],
      Privileged: false,
      User: 'root',
      ConsoleSize: [40, 80],
    });
    for (const body of [
      { Privileged: true },
      { privileged: true },
      { Privileged: 'true' },
      { Cmd: 'ls' },
      { CapAdd: ['ALL'] },
    ]) {
      expect(refusalOf('POST', '/containers/db/exec', body)).toMatch(/^40[03] /);
    }
    expect(sent('POST', `/exec/${id('4')}/start`, { Detach: false, Tty: true })).toMatchObject({ answer: 'hijack' });
    expect(sent('POST', `/exec/${id('4')}/start`, { Detach: true })).toMatchObject({ answer: 'stream' });
    expect(refusalOf('POST', `/exec/${id('9')}/start`, {})).toMatch(/^404/);
    expect(refusalOf('POST', '/exec/4444/start', {})).toMatch(/^404/);
  });
  it('update keeps the limits', () => {
    const update = (body: object) => jsonOf(sent('POST', '/containers/db/update', body));
    expect(update({ Memory: 1e15, MemorySwap: -1 })).toEqual({
      CpuShares: 1024,
      Memory: JOB.limits.memory,
      MemorySwap: JOB.limits.memory,
    });
    expect(update({ MemorySwap: -1 })).toMatchObject({ Memory: JOB.limits.memory, MemorySwap: JOB.limits.memory });
    expect(update({ CpuShares: 262_144 })).toEqual({});
    expect(update({ PidsLimit: 0 })).toEqual({ PidsLimit: 512 });
    expect(update({ CpuQuota: -1 })).toEqual({ NanoCpus: 2e9 });
    expect(update({ RestartPolicy: { Name: 'always' } })).toEqual({});
    expect(refusalOf('POST', '/containers/db/update', { Devices: [{ PathOnHost: '/dev/sda' }] })).toMatch(/^403/);
  });
});

describe('filters', () => {
  const filters = (url: string) =>
    JSON.parse(queryOf(sent(url.includes('prune') ? 'POST' : 'GET', url)).get('filters') ?? '{}') as unknown;
  const json = (value: unknown) => encodeURIComponent(JSON.stringify(value));
  it("add the job's label where the engine can", () => {
    expect(filters('/containers/json')).toEqual({ label: OURS });
    expect(
      filters(`/containers/json?filters=${json({ label: ['a=b'], status: { running: true, paused: false } })}`),
    ).toEqual({ label: ['a=b', ...OURS], status: ['running'] });
    for (const what of ['containers', 'networks', 'volumes']) {
      expect(filters(`/${what}/prune?filters=${json({ label: ['a'] })}`)).toEqual({
        label: ['a', ...OURS],
      });
    }
    expect(filters('/volumes')).toEqual({ label: OURS });
  });
  it('name things as the engine does', () => {
    expect(
      filters(
        `/containers/json?filters=${json({ ancestor: ['app'], network: ['front', 'bridge'], volume: ['data', '/d'], before: ['db'], since: ['other'] })}`,
      ),
    ).toEqual({
      ancestor: [`sha256:${id('b')}`],
      network: [id('3'), 'slipway-net-17'],
      volume: ['slipway-17-1-data', '/d'],
      before: [id('1')],
      since: ['slipway-17-1-nothing'],
      label: OURS,
    });
    expect(filters(`/events?filters=${json({ container: ['db'], type: ['container'] })}`)).toEqual({
      container: [id('1')],
      type: ['container'],
    });
  });
  it('leave names to the answer, and the limit with them', () => {
    const request = sent('GET', `/containers/json?limit=1&filters=${json({ name: ['^/db$'] })}`);
    expect(queryOf(request).has('limit')).toBe(false);
    expect(queryOf(request).get('filters')).toBe(JSON.stringify({ label: OURS }));
  });
  test.each([
    ['/containers/json', { label: 'a' }],
    ['/containers/json', { isolation: ['x'] }],
    ['/containers/json', { name: ['(a+)+$'] }],
    ['/containers/json', { name: ['a{1,9999}'] }],
    ['/containers/json', { id: ['.*'] }],
    ['/containers/json', []],
    ['/containers/json', { __proto: ['x'] }],
    ['/images/json', { before: ['app'] }],
    ['/events', { daemon: ['x'] }],
    ['/networks', { label: [1] }],
  ])('refused: %s %p', (url, value) => {
    expect(refusalOf('GET', `${url}?filters=${json(value)}`)).toMatch(/^40[03] /);
  });
  it('no filter takes the label away', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json(),
          fc
            .dictionary(fc.constantFrom('label', 'label!', 'until', 'name', 'all'), fc.array(fc.string()))
            .map((one) => JSON.stringify(one)),
        ),
        (text) => {
          for (const what of ['containers', 'networks', 'volumes']) {
            const { order } = ask('POST', `/${what}/prune?filters=${encodeURIComponent(text)}`);
            if (order.kind !== 'request') continue;
            expect((JSON.parse(queryOf(order).get('filters') ?? '{}') as { label: string[] }).label).toContain(
              'slipway.inner=17-1',
            );
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});

it('what a registry is told is what the client has, and only there', () => {
  const withHeaders = ['/images/create?fromImage=alpine', '/build', '/session'];
  expect(withHeaders.map((url) => sent('POST', url).headers)).toEqual([
    ['x-registry-auth'],
    ['x-registry-config'],
    [
      'x-docker-expose-session-uuid',
      'x-docker-expose-session-name',
      'x-docker-expose-session-sharedkey',
      'x-docker-expose-session-grpc-method',
    ],
  ]);
  expect(sent('POST', '/containers/db/start').headers).toEqual([]);
  expect(ask('POST', '/auth', { username: 'a', password: 'b', serveraddress: 'http://10.0.0.1' }).order).toEqual({
    kind: 'answer',
    status: 200,
    json: { Status: 'Login Succeeded', IdentityToken: '' },
  });
});
