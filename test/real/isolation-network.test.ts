import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { promisify } from 'node:util';
import type { DockerExecutor } from '#src/adapters/docker/executor.ts';
import { createGuard } from '#src/adapters/docker/guard.ts';
import { guardScript } from '#src/adapters/docker/guard-rules.ts';
import { JOBS_NETWORK, jobsNetwork } from '#src/adapters/docker/network.ts';
import type { JobRequest } from '#src/engine/ports.ts';
import type { ServiceSpec } from '#src/model/pipeline.ts';
import { jobRequest, never, told } from '#test/contracts/executor.ts';
import { busyboxImage, docker, importRoot, openSite, type Site } from './docker.ts';
import { firewallRoot } from './firewall-image.ts';

const run = promisify(execFile);
const quiet = { debug() {}, info() {}, warn() {} };
/** Addresses for documentation: they lead nowhere but into the test's own namespace. */
const METADATA = '169.254.170.77';
const DENIED = '198.51.100.7';
const ALLOWED = '203.0.113.7';

let image: string;
let site: Site;
let guarded: DockerExecutor;
let host: Server;
let cloud: ChildProcess;
let link: string;
let port: number;

beforeAll(async () => {
  image = await busyboxImage();
  site = await openSite();
  // The engine's own ranges too: a job must reach its services nevertheless.
  guarded = site.open({
    guard: { deny: ['198.51.100.0/24', '172.16.0.0/12', '192.168.0.0/16'], bridges: [], image: null },
  });
  await guarded.ping();
  host = createServer((socket) => socket.end('here\n')).listen(0, '0.0.0.0');
  await once(host, 'listening');
  port = (host.address() as AddressInfo).port;
  await openCloud();
});
afterAll(async () => {
  host.close();
  const gone = once(cloud, 'exit');
  cloud.kill('SIGKILL');
  await gone;
  cloud.stdout?.destroy();
  await run('ip', ['link', 'del', link]).catch(() => {});
  for (const table of ['filter', 'security', 'mangle']) {
    await run('iptables', ['-w', '-t', table, '-F', 'SLIPWAY-DENY']).catch(() => {});
  }
  await site.dispose();
});

/** A machine beyond this one, in a network namespace, that answers on port 80 of the three addresses. */
async function openCloud(): Promise<void> {
  link = `slc${process.pid % 1_000_000}`;
  const code = "require('net').createServer((s) => s.end('here\\n')).listen(80, () => console.log('listening')); ";
  cloud = spawn('unshare', ['--net', process.execPath, '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  if (cloud.stdout) await once(cloud.stdout, 'data');
  const pid = String(cloud.pid);
  const inside = (...words: string[]) => run('nsenter', ['-t', pid, '-n', 'ip', ...words]);
  await run('ip', ['link', 'add', link, 'type', 'veth', 'peer', 'name', `${link}p`]);
  await run('ip', ['link', 'set', `${link}p`, 'netns', pid]);
  await run('ip', ['addr', 'add', '192.0.2.129/30', 'dev', link]);
  await run('ip', ['link', 'set', link, 'up']);
  await inside('link', 'set', `${link}p`, 'up');
  await inside('addr', 'add', '192.0.2.130/30', 'dev', `${link}p`);
  await inside('route', 'add', 'default', 'via', '192.0.2.129');
  for (const address of [METADATA, DENIED, ALLOWED]) {
    await inside('addr', 'add', `${address}/32`, 'dev', `${link}p`);
    await run('ip', ['route', 'add', `${address}/32`, 'via', '192.0.2.130', 'dev', link]);
  }
}

/** Runs the steps in a job; its log. */
async function job(steps: readonly string[], changes: Partial<JobRequest> = {}, executor = guarded): Promise<string> {
  const teller = told();
  const request = jobRequest(steps, { image, ...changes });
  const { outcome } = await executor.run(request, Promise.resolve(site.tree), teller.listener, never);
  return `${teller.log()}\n${outcome.kind}${'reason' in outcome ? `: ${outcome.reason}` : ''}`;
}

/** The same in a container of Docker's own default. */
async function plainly(script: string): Promise<string> {
  return (await run('docker', ['run', '--rm', image, 'sh', '-c', script], { timeout: 60_000 })).stdout;
}

/** `here` for each place that answers, `no` for others. */
const ask = (places: readonly string[]) =>
  places.map((place) => `timeout 5 nc -w 3 ${place} </dev/null 2>/dev/null || echo no`).join('\n');

/** What answers the host there. */
async function said(address: string, at: number): Promise<string> {
  let text = '';
  for await (const chunk of connect(at, address).setEncoding('utf8')) text += String(chunk);
  return text;
}

/** But those of networks that others make and remove meanwhile. */
const ownAddresses = () =>
  Object.entries(networkInterfaces())
    .filter(([name]) => !/^(slw|br-)/.test(name))
    .flatMap(([, all]) => all ?? [])
    .filter(({ family, internal }) => family === 'IPv4' && !internal)
    .map(({ address }) => address);

const gateway = "gateway=$(ip route | sed -n 's/^default via \\([^ ]*\\).*/\\1/p')";

it("a job reaches the server's port by no address of the host", async () => {
  const script = `${gateway}\n${ask(['$gateway', ...ownAddresses()].map((address) => `${address} ${port}`))}`;
  expect(await plainly(script)).toMatch(/^(here\n)+$/);
  const log = await job([script]);
  expect(log).not.toContain('here');
  expect(log).toContain('no\n');
});

it('nor by IPv6, of which its network has none', async () => {
  expect(await job(['cat /proc/net/if_inet6; ip addr'])).not.toMatch(/^fe80|inet6 (?!::1)/m);
});

it("a job reaches neither the cloud's metadata nor what the operator denied, but anything else", async () => {
  const places = ask([`${METADATA} 80`, `${DENIED} 80`, `${ALLOWED} 80`]);
  expect(await plainly(places)).toBe('here\nhere\nhere\n');
  expect(await job([places])).toMatch(/^no\nno\nhere\n/m);
});

it('nor in the moments in which the engine, making a network, takes its own jump to DOCKER-USER away', async () => {
  const jump = 'FORWARD -j DOCKER-USER';
  const without = async (work: () => Promise<void>) => {
    await run('iptables', ['-w', '-D', 'FORWARD', '-j', 'DOCKER-USER']);
    try {
      await work();
    } finally {
      await run('/bin/sh', ['-c', `iptables -w -C ${jump} 2>/dev/null || iptables -w -I ${jump}`]);
    }
  };
  await without(async () => expect(await job([ask([`${METADATA} 80`, `${ALLOWED} 80`])])).toContain('no\nhere\n'));
}, 30_000);

it('jobs and services of different jobs do not reach each other, a job its own services by name', async () => {
  const serve =
    "while :; do echo here | nc -l -p 7777; done & ip addr show eth0 | sed -n 's/.*inet \\([0-9.]*\\).*/at \\1/p'";
  const db: ServiceSpec = {
    name: 'db',
    image,
    env: {},
    command: ['sh', '-c', `${serve}; wait`],
    port: 7777,
    readyTimeoutSeconds: 30,
  };
  const teller = told();
  const wait = 'while [ ! -e stop ]; do sleep 0.1; done';
  const stop = new AbortController();
  const ends = { ...never, cancel: stop.signal };
  const other = guarded.run(
    jobRequest([`${serve}; ${wait}`], { image }),
    Promise.resolve(site.tree),
    teller.listener,
    ends,
  );
  const withService = told();
  const served = jobRequest([`nc db 7777 </dev/null; ${serve}; ${wait}`], { image, services: [db] });
  const second = guarded.run(served, Promise.resolve(site.tree), withService.listener, ends);
  await Promise.all([teller.shows('at 1'), withService.shows('at 1')]);
  expect(withService.log()).toContain('here');
  const found = [teller, withService].map((one) => /at ([\d.]+)/.exec(one.log())?.[1] ?? '');
  const filters = { label: [`slipway.job=${served.jobId}`, 'slipway.kind=service'] };
  const [container] = await docker.listContainers({ filters });
  const service = Object.values(container?.NetworkSettings.Networks ?? {})[0]?.IPAddress ?? '';
  expect(service).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
  // They do listen, as the host sees.
  for (const address of [...found, service]) expect(await said(address, 7777)).toBe('here\n');
  const all = ask([...found, service].map((address) => `${address} 7777`));
  const quietService: ServiceSpec = { ...db, command: ['sleep', '60'], port: null };
  const [alone, besides] = await Promise.all([job([all]), job([all], { services: [quietService] })]);
  expect(alone).toContain('no\nno\nno\n');
  expect(besides).toContain('no\nno\nno\n');
  stop.abort();
  await Promise.all([other, second]);
  // Without the defence: two containers on Docker's default network.
  const twin = await run('docker', [
    'run',
    '-d',
    '--rm',
    image,
    'sh',
    '-c',
    'while :; do echo here | nc -l -p 7777; done',
  ]);
  const id = twin.stdout.trim();
  try {
    const address = (await docker.getContainer(id).inspect()).NetworkSettings.Networks['bridge']?.IPAddress;
    expect(await plainly(`sleep 1; ${ask([`${address} 7777`])}`)).toBe('here\n');
  } finally {
    await docker.getContainer(id).remove({ force: true });
  }
}, 60_000);

it('a job that asks for no network has none, and its services no way out', async () => {
  const none = { access: { privileged: false, network: 'none', devices: [], volumes: [] } } as const;
  const log = await job(['ip addr', ask([`${ALLOWED} 80`])], none);
  expect(log).not.toContain('eth0');
  expect(log).toContain('no\n');
  const db: ServiceSpec = {
    name: 'db',
    image,
    env: {},
    command: ['sh', '-c', 'while :; do echo here | nc -l -p 7777; done'],
    port: 7777,
    readyTimeoutSeconds: 30,
  };
  expect(await job([ask(['db 7777', `${ALLOWED} 80`])], { ...none, services: [db] })).toMatch(/^here\nno\n/m);
});

it("a stranger's job has the guarded network, and none where nothing guards it", async () => {
  const stranger = { trusted: false };
  expect(await job([ask([`${ALLOWED} 80`, `${METADATA} 80`])], stranger)).toMatch(/^here\nno\n/m);
  const without = await job(['ip addr'], stranger, site.open());
  expect(without).not.toContain('eth0');
  expect(without).toContain('Slipway: This job comes from somebody without write permission and has no network');
  const withService = {
    ...stranger,
    services: [{ name: 'db', image, env: {}, command: null, port: null, readyTimeoutSeconds: 5 }],
  };
  expect(await job(['true'], withService, site.open())).toContain('failure: This job comes from somebody');
});

it('the network of the jobs comes back if it was removed, also for many at once', async () => {
  const networks = Array.from({ length: 8 }, () => jobsNetwork(docker).ready());
  const bridges = new Set((await Promise.all(networks)).map(({ bridge }) => bridge));
  expect(bridges.size).toBe(1);
  expect([...bridges][0]?.length).toBeLessThanOrEqual(15);
  const { Options } = (await docker.getNetwork(JOBS_NETWORK).inspect()) as { Options: Record<string, string> };
  expect(Options['com.docker.network.bridge.enable_icc']).toBe('false');
});

it('the rules are put back where they were taken away, by a container where the server may not itself', async () => {
  const network = { ready: async () => ({ bridge: 'slwj-elsewhere' }), forget() {} };
  const options = {
    docker,
    patient: docker,
    network,
    ownImage: null,
    home: 'a-test',
    deny: [],
    bridges: [],
    logger: quiet,
  };
  const missing = await createGuard({ ...options, image: null }).refusal();
  expect(missing).toMatch(/^The firewall rules that keep jobs from this host can't be set: .*interfaces\.$/);
  const wrong = await createGuard({ ...options, image }).refusal();
  expect(wrong).toMatch(/can't be set: in .*iptables/);
  const helper = await importRoot('slipway-test/firewall', firewallRoot(), []);
  await run('iptables', ['-w', '-D', 'INPUT', '-j', 'SLIPWAY-INPUT']);
  expect(await createGuard({ ...options, image: helper }).refusal()).toBeNull();
  expect((await run('iptables', ['-w', '-S', 'INPUT', '1'])).stdout).toContain('-j SLIPWAY-INPUT');
  expect(await docker.listContainers({ all: true, filters: { label: ['slipway.home=a-test'] } })).toEqual([]);
});

it('the rules change nothing of others, and nothing when they stand', async () => {
  const script = `
    iptables -A INPUT -p tcp --dport 22 -j ACCEPT; iptables -N DOCKER-USER; iptables -A FORWARD -j DOCKER-USER
    iptables -A DOCKER-USER -i other -j DROP
    ${guardScriptIn('one', ['10.0.0.0/8'])}
    ${guardScriptIn('two', ['10.9.0.0/16'])}
    iptables-save | grep -v '^#'; echo ---
    ${guardScriptIn('one', ['10.0.0.0/8'])}
    iptables-save | grep -v '^#'; echo ---
    iptables -D SLIPWAY-FORWARD 1; iptables -I INPUT 1 -j ACCEPT
    ${guardScriptIn('one', [])}
    iptables-save | grep -v '^#'`;
  const { stdout } = await run('unshare', ['--net', '/bin/sh', '-c', script]);
  const [first = '', second, third = ''] = stdout.split('---\n');
  expect(second).toBe(first);
  expect(first).toMatch(/\*(security|mangle)\n[^]*-A FORWARD -j SLIPWAY-FORWARD\n/);
  expect(first).toContain('-A INPUT -j SLIPWAY-INPUT\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n');
  expect(first).toContain('-A DOCKER-USER -j SLIPWAY-FORWARD\n-A DOCKER-USER -i other -j DROP\n');
  expect(first).toContain('-d 10.0.0.0/8 -m comment --comment slipway-one');
  expect(third).toContain('-A INPUT -j SLIPWAY-INPUT\n-A INPUT -j ACCEPT\n');
  expect(third).toContain('-A SLIPWAY-FORWARD -i slw+ -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN\n');
  for (const what of ['INPUT', 'FORWARD -d 169.254.0.0/16'])
    expect(third).toMatch(new RegExp(`^-A SLIPWAY-${what} -i docker0 -j REJECT`, 'm'));
  expect(third).not.toContain('10.0.0.0/8');
  expect(third).toContain('-d 10.9.0.0/16 -m comment --comment slipway-two');
});

const guardScriptIn = (id: string, deny: readonly string[]) => `(${guardScript(id, deny, ['docker0'])}) || echo failed`;
