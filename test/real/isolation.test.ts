import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ContainerCreateOptions } from 'dockerode';
import type { DockerExecutor } from '#src/adapters/docker/executor.ts';
import type { JobRequest, JobResult } from '#src/engine/ports.ts';
import { jobRequest, never, told } from '#test/contracts/executor.ts';
import { bashImage, docker, openSite, type Site } from './docker.ts';

const run = promisify(execFile);
const mib = 1024 ** 2;
let image: string;
let site: Site;
let executor: DockerExecutor;
/** A file of the host that no job may read. */
let secret: string;
beforeAll(async () => {
  image = await bashImage();
  site = await openSite();
  executor = site.open();
  secret = join(await mkdtemp(join(tmpdir(), 'slipway-host-')), 'secret');
  await writeFile(secret, 'the-secret-of-the-host', { mode: 0o600 });
});
afterAll(async () => {
  await site.dispose();
  await rm(join(secret, '..'), { recursive: true });
});

interface Ran extends JobResult {
  readonly log: string;
  readonly told: string;
}

async function play(script: string, changes: Partial<JobRequest> = {}, by = executor): Promise<Ran> {
  const teller = told();
  const request = jobRequest([script], { image, timeoutMs: 60_000, ...changes });
  const result = await by.run(request, Promise.resolve(site.tree), teller.listener, never);
  const { outcome } = result;
  return { ...result, log: teller.log(), told: `${outcome.kind}${'reason' in outcome ? `: ${outcome.reason}` : ''}` };
}

/** What the job printed, without the line that shows the script. */
const printed = ({ log }: Ran) => log.replaceAll(/^\$ .*$/gm, '');

async function plainly(script: string, options: readonly string[] = []): Promise<string> {
  const words = ['run', '--rm', ...options, image, 'sh', '-c', script];
  return (await run('docker', words, { timeout: 60_000 })).stdout;
}

/** Each prints `it worked` if it did. The twin shows that it does where the defence isn't. */
const attacks: readonly [string, string, readonly string[]][] = [
  ['mounts', 'mkdir -p /mnt; busybox mount -t tmpfs none /mnt && echo it worked', ['--cap-add=SYS_ADMIN']],
  ['makes a device', 'busybox mknod /tmp/disk b 8 0 && echo it worked', []],
  ['leaves its namespaces', 'busybox unshare -m true && echo it worked', ['--cap-add=SYS_ADMIN']],
  [
    'becomes root of a user namespace',
    'busybox unshare -U true && echo it worked',
    ['--security-opt=seccomp=unconfined'],
  ],
  [
    "changes the kernel's settings",
    'cat /proc/sys/kernel/printk >/tmp/v; cat /tmp/v >/proc/sys/kernel/printk && echo it worked',
    ['--security-opt=systempaths=unconfined', '--cap-add=SYS_ADMIN'],
  ],
  ['opens raw sockets', 'busybox arping -c 1 -w 1 127.0.0.1 2>&1 | grep -q "not permitted" || echo it worked', []],
  [
    'gets root by the setuid bit',
    'cp /bin/bash /tmp/up; chmod 4755 /tmp/up; echo "echo \\$EUID" >/tmp/ask; busybox su nobody -c "/tmp/up -p /tmp/ask" | grep -qx 0 && echo it worked',
    [],
  ],
  [
    'reads what the engine hides of the kernel',
    'head -c 1 /proc/timer_list | grep -q . && echo it worked',
    ['--security-opt=systempaths=unconfined'],
  ],
  ["finds the host's devices", '[ -e /dev/fuse ] && echo it worked', ['--device=/dev/fuse']],
  ["sees the host's processes", '[ "$(ls -d /proc/[0-9]* | wc -l)" -gt 20 ] && echo it worked', ['--pid=host']],
  ["sees the host's sockets", 'grep -q slipway-abstract /proc/net/unix && echo it worked', ['--network=host']],
  [
    "finds the engine's socket",
    '[ -S /var/run/docker.sock ] && echo it worked',
    ['-v', '/var/run/docker.sock:/var/run/docker.sock'],
  ],
  [
    'lifts its own limits',
    'd=/sys/fs/cgroup/pids; [ -d $d ] || d=/sys/fs/cgroup; mkdir $d/slipway-escape && echo it worked && rmdir $d/slipway-escape',
    ['-v', '/sys/fs/cgroup:/sys/fs/cgroup:rw'],
  ],
];

describe('a job does not get out', () => {
  it.each(attacks)('when it %s', async (_what, script, twin) => {
    const listener = createServer().listen('\0slipway-abstract');
    try {
      expect(await plainly(`${script}; :`, twin)).toContain('it worked');
      expect(printed(await play(`${script}; :`))).not.toContain('it worked');
    } finally {
      listener.close();
    }
  });

  it('has only the powers that a build needs, the filters of the engine, and its default memory folder', async () => {
    const { log } = await play(
      "grep -E '^(CapBnd|CapEff|NoNewPrivs|Seccomp):' /proc/self/status; df -k /dev/shm | tail -n 1",
    );
    // CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID NET_BIND_SERVICE SYS_CHROOT SETFCAP
    expect(log).toMatch(/CapEff:\t00000000800404fb\nCapBnd:\t00000000800404fb\nNoNewPrivs:\t1\nSeccomp:\t2\n/);
    expect(log).toMatch(/shm +65536 /);
  });

  it('sees no folder of another job, and no process', async () => {
    const other = told();
    const stop = new AbortController();
    const running = executor.run(
      jobRequest(['echo mine >/slipway/mine; echo mine >mine; echo there; sleep 300'], { image }),
      Promise.resolve(site.tree),
      other.listener,
      { ...never, cancel: stop.signal },
    );
    await other.shows('\nthere');
    const ran = await play('find / -xdev -name mine 2>/dev/null; find /slipway /workspace; ps; cat /proc/mounts');
    stop.abort();
    await running;
    const text = printed(ran);
    expect(text).not.toMatch(/mine|sleep 300/);
    // Of the host's folders it is shown its own two.
    const disk = / ext4 | btrfs | xfs | tmpfs /;
    const shown = text.split('\n').filter((line) => line.startsWith('/dev/') && disk.test(line));
    const points = shown.map((line) => line.split(' ')[1]);
    expect(points).toEqual(expect.arrayContaining(['/slipway', '/workspace']));
    for (const point of points) expect(point).toMatch(/^\/(slipway|workspace|etc\/(resolv\.conf|hostname|hosts))$/);
  });
});

/** The bytes of the artifacts, as text; '' if there are none. */
async function archived(ref: string | null): Promise<string> {
  let text = '';
  if (ref !== null) for await (const chunk of await executor.openArchive(ref)) text += String(chunk);
  return text;
}

describe('what a job leaves is no way into the host', () => {
  it('links in the place of its log, reports and artifacts lead nowhere', async () => {
    const script = `
      mkdir reports; ln -s ${JSON.stringify(secret)} reports/a.xml; ln -s / reports/root
      (sleep 1; for name in reports.tar artifacts.tar; do ln -sf ${JSON.stringify(secret)} /slipway/$name; done) &
      rm -f /slipway/log; ln -s ${JSON.stringify(secret)} /slipway/log; ln -s ${JSON.stringify(secret)} out; echo done; sleep 1.5`;
    const ran = await play(script, { reports: ['reports/*.xml'], artifacts: ['out'] });
    expect(JSON.stringify([...ran.reports])).not.toContain('the-secret');
    expect(ran.log).not.toContain('the-secret');
    expect(await archived(ran.artifacts)).not.toContain('the-secret');
  });

  it('a link in the source leads nowhere, and the source is not changed', async () => {
    const tree = await mkdtemp(join(tmpdir(), 'slipway-tree-'));
    await writeFile(join(tree, 'file'), 'as it was');
    await symlink(secret, join(tree, 'link'));
    const teller = told();
    const steps = ['cat link || :; echo changed >file; rm link; mkdir link; cat file'];
    const source = { path: tree, [Symbol.asyncDispose]: async () => {} };
    await executor.run(jobRequest(steps, { image }), Promise.resolve(source), teller.listener, never);
    expect(teller.log()).not.toContain('the-secret');
    expect(teller.log()).toContain('changed\n');
    expect((await run('cat', [join(tree, 'file')])).stdout).toBe('as it was');
    await rm(tree, { recursive: true });
  });
});

/** A job that needs little, and how long it took, milliseconds. */
async function goodJob(by: DockerExecutor): Promise<number> {
  const begun = performance.now();
  const ran = await play('for i in $(seq 1 30); do echo "line $i"; ls >/dev/null; sleep 0.1; done; echo whole', {}, by);
  expect(ran.told).toBe('success');
  for (let i = 1; i <= 30; i++) expect(ran.log).toContain(`line ${i}\n`);
  return performance.now() - begun;
}

describe('a job that wants everything harms no other', () => {
  it.each([
    [
      'processes',
      'b() { b | b & }; b; sleep 4; echo survived',
      { pids: 200, cpus: 1 },
      /./,
      /can't fork|Resource temporarily unavailable/,
    ],
    [
      'memory',
      'sleep 0.5; tail /dev/zero',
      { memory: 64 * mib },
      /^failure: Step .* ran out of memory \(the limit is 0\.06 GiB\)/,
      /./,
    ],
    ['CPU', 'for i in $(seq 1 20); do while :; do :; done & done; sleep 4', { cpus: 1 }, /^success/, /./],
    [
      'open files',
      'ulimit -n; i=0; while [ $i -lt 300 ]; do eval "exec {f$i}<file" && i=$((i + 1)) || exit 3; done',
      { files: 200 },
      /^failure/,
      /\n200\n/,
    ],
  ])(
    '%s',
    async (what, script, limits, outcome, shows) => {
      const limited = site.open({ limits });
      const [bad] = await Promise.all([
        play(script, { shell: what === 'open files' ? 'bash' : 'sh', timeoutMs: 20_000 }, limited),
        goodJob(limited),
      ]);
      expect(bad.told).toMatch(outcome);
      expect(bad.log).toMatch(shows);
    },
    60_000,
  );

  it.each([
    ['writes without end', 'yes "a line that is written for ever"'],
    ['makes its log long without writing', 'truncate -s 100G /slipway/log; sleep 50'],
  ])(
    'log: it %s',
    async (_how, script) => {
      const limited = site.open({ logLimit: 8 * mib, limits: { cpus: 1 } });
      const [bad] = await Promise.all([play(script, { timeoutMs: 30_000 }, limited), goodJob(limited)]);
      expect(bad.told).toBe(
        'failure: The job wrote more than 8 MB of log and was stopped. Write less, or into a file that is an artifact.',
      );
      expect(bad.log.length).toBeLessThan(10 * mib);
    },
    60_000,
  );
});

describe('what the operator allowed, and nothing else', () => {
  const access = { privileged: false, network: 'private', devices: [], volumes: [] } as const;
  const powers = "grep -E '^(CapEff|NoNewPrivs):' /proc/self/status";

  it('privileged: the job alone, not its services', async () => {
    const service = { name: 'db', image, env: {}, command: ['sleep', '60'], port: null, readyTimeoutSeconds: 5 };
    const asked: ContainerCreateOptions[] = [];
    const recorder = Object.assign(Object.create(docker) as typeof docker, {
      createContainer(options: ContainerCreateOptions) {
        asked.push(options);
        return docker.createContainer(options);
      },
    });
    const script = `${powers}; busybox mount -t tmpfs none /mnt && echo mounted`;
    const given = { services: [service], access: { ...access, privileged: true } };
    const ran = await play(script, given, site.open({ docker: recorder })).catch((error: unknown) => error as Error);
    // An engine that lacks powers itself can't give them.
    expect(ran instanceof Error ? ran.message : ran.log).toMatch(/\nmounted|unable to apply caps/);
    const [job, db] = ['/bin/sh', undefined].map(
      (entry) => asked.find(({ Entrypoint }) => Entrypoint?.[0] === entry)?.HostConfig,
    );
    expect(job).toMatchObject({ Privileged: true, Devices: [] });
    expect(job?.Mounts).toHaveLength(2);
    expect(db).toMatchObject({ Privileged: false, CapDrop: ['ALL'], SecurityOpt: ['no-new-privileges'] });
  }, 30_000);

  it.each([
    ['a device', { devices: ['/dev/fuse'] }, 'ls /dev/fuse && echo yes', /yes/],
    ["the host's network", { network: 'host' as const }, 'ip addr | grep docker0 && echo yes', /yes/],
  ])('%s, with no power more', async (_what, given, script, shows) => {
    const ran = await play(`${script}; ${powers}; ls /dev`, { access: { ...access, ...given } });
    expect(printed(ran)).toMatch(shows);
    expect(printed(ran)).toMatch(/CapEff:\t00000000800404fb\nNoNewPrivs:\t1/);
    expect(printed(ran)).not.toContain('loop-control');
    expect(printed(await play(`${script}; :`))).not.toMatch(shows);
  });

  it('a folder of the host, for reading only if it says so', async () => {
    const folder = join(secret, '..');
    const volumes = [{ source: folder, target: '/given', readOnly: true }];
    const ran = await play('cat /given/secret; echo; echo x >/given/new || echo refused', {
      access: { ...access, volumes },
    });
    expect(ran.log).toContain('the-secret-of-the-host');
    expect(ran.log).toContain('refused');
    const writable = [{ source: folder, target: '/given', readOnly: false }];
    await play('echo x >/given/new', { access: { ...access, volumes: writable } });
    expect((await run('cat', [join(folder, 'new')])).stdout).toBe('x\n');
  });

  it.each([{ privileged: true }, { network: 'host' as const }, { devices: ['/dev/fuse'] }])(
    "a stranger's job never gets %j",
    async (given) => {
      const ran = await play('echo ran', { trusted: false, access: { ...access, ...given } });
      expect(ran.told).toContain("failure: A stranger's job may have nothing of the host");
      expect(printed(ran)).not.toContain('ran\n');
    },
  );

  it('never takes a container that was started for others', async () => {
    const warm = site.open({ warm: 1 });
    warm.expect(image);
    await play('true', {}, warm);
    const ran = await play('ls /dev/fuse && echo yes', { access: { ...access, devices: ['/dev/fuse'] } }, warm);
    expect(printed(ran)).toContain('yes');
    expect(printed(await play('ls /dev/fuse || echo no', {}, warm))).toContain('no');
  });

  it('a runtime that the engine lacks is told to the operator', async () => {
    await expect(play('true', { runtime: 'runsc' })).rejects.toMatchObject({
      name: 'PlatformError',
      message: expect.stringMatching(/The Docker engine has no runtime runsc, which the operator's file.*daemon\.json/),
    });
    const ran = await play('echo ran', { runtime: 'runc' });
    expect(ran.told).toBe('success');
  });
});
