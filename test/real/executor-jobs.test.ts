import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { JobRequest, JobResult } from '#src/engine/ports.ts';
import { cancelBy, jobRequest, never, told } from '#test/contracts/executor.ts';
import { bashImage, busyboxImage, derivedImage, docker, emptyImage, gnuImage, openSite, type Site } from './docker.ts';

describe('a job in Docker', () => {
  let site: Site;
  let bash: string;
  let gnu: string;
  beforeAll(async () => {
    site = await openSite();
    [bash, gnu] = await Promise.all([bashImage(), gnuImage()]);
  });
  afterAll(() => site.dispose());

  async function run(
    steps: readonly string[],
    more: Partial<JobRequest> = {},
    options: Parameters<Site['open']>[0] = {},
    ends = never,
    teller = told(),
  ): Promise<JobResult & { readonly log: string }> {
    const executor = site.open(options);
    const request = jobRequest(steps, { image: bash, ...more });
    const result = await executor.run(request, Promise.resolve(site.tree), teller.listener, ends);
    await executor.close();
    return { ...result, log: teller.log() };
  }

  it('shares one shell among the steps', async () => {
    const { log } = await run(['cd /tmp; export X=carried', 'echo "$X in $PWD"']);
    expect(log).toContain('carried in /tmp');
  });

  it.each(['sh', 'bash'] as const)('blames the step in which %s finds a syntax error', async (shell) => {
    const { outcome, log } = await run(['echo fine', 'if then'], { shell });
    expect(outcome).toMatchObject({ kind: 'failure', reason: expect.stringContaining('"step 2"') });
    expect(log).toContain('fine\n');
  });

  it('ends well and early at exit 0', async () => {
    const { outcome, log } = await run(['exit 0', 'echo never']);
    expect(outcome.kind).toBe('success');
    expect(log).not.toContain('never');
  });

  it.each([
    ['exec sh -c "exit 5"', 'exit code 5'],
    ['kill -9 $$', 'SIGKILL'],
    ['set -o pipefail; false | true', 'exit code 1'],
  ])('tells how the shell of %s ended', async (script, reason) => {
    const { outcome } = await run([script], { shell: 'bash' });
    expect(outcome).toMatchObject({ kind: 'failure', reason: expect.stringContaining(reason) });
  });

  it('says that the memory ran out', async () => {
    const { outcome } = await run(
      ['head -c 200m /dev/zero | tail >/dev/null'],
      { shell: 'bash' },
      {
        limits: { memory: 32 * 1024 ** 2 },
      },
    );
    expect(outcome).toMatchObject({ kind: 'failure', reason: expect.stringContaining('ran out of memory') });
  });

  it('lets a command end by itself when the job is stopped', async () => {
    const stop = new AbortController();
    const teller = told();
    const script = `sh -c 'trap "echo tidied up; exit 0" TERM; echo waiting; while :; do sleep 0.1; done'`;
    const running = run([script], {}, {}, cancelBy(stop.signal), teller);
    await Promise.race([teller.shows('\nwaiting'), running]);
    stop.abort(new Error('enough'));
    const { outcome, log } = await running;
    expect(outcome).toEqual({ kind: 'cancelled', reason: 'enough' });
    expect(log).toContain('\ntidied up\n');
  });

  it('stops a job that floods its log, and shows no more than its limit', async () => {
    const { outcome, log } = await run(['yes flood'], {}, { logLimit: 2_000_000 });
    expect(outcome).toMatchObject({ kind: 'failure', reason: expect.stringContaining('2 MB of log') });
    expect(log.length).toBeLessThan(3_000_000);
  });

  it('gives the workspace to the user of the image', async () => {
    const image = await derivedImage('slipway-test/user', gnu, ['USER 1234:1234']);
    const { outcome, log } = await run(
      ['id -u 2>/dev/null; cat hello.txt; touch hello.txt new.txt; chmod 600 hello.txt'],
      { image },
    );
    expect(log).toContain('1234\nhello');
    expect(outcome.kind).toBe('success');
  });

  it('blames the user for an image without a shell, and for a bad name', async () => {
    const empty = await run(['true'], { image: await emptyImage() });
    expect(empty.outcome).toMatchObject({ kind: 'failure', reason: expect.stringContaining('no /bin/sh') });
    const bad = await run(['true'], { image: 'Not:A:Name' });
    expect(bad.outcome).toMatchObject({ kind: 'failure', reason: expect.stringContaining('no valid name') });
  });

  it('says that bash is missing', async () => {
    const { outcome, log } = await run(['true'], { image: await busyboxImage(), shell: 'bash' });
    expect(outcome.kind).toBe('failure');
    expect(log).toContain('the image has no bash');
  });

  it.each(['busybox', 'GNU'])('packs strange names with %s tar, and warns of patterns without files', async (kind) => {
    const steps = ['mkdir -p a/b; touch "a/b/with space.xml" a/-dash.xml a/b/c.txt', 'touch a/b/"back\\\\slash.xml"'];
    const { artifacts, log, outcome } = await run(steps, {
      image: kind === 'GNU' ? gnu : bash,
      artifacts: ['a/**/*.xml', 'none/*', '../out'],
    });
    expect(outcome.kind).toBe('success');
    expect(log).toContain('no file matches the artifact pattern none/*');
    expect(log).toContain('leads out of the workspace');
    const next = await run(['find a -type f | LC_ALL=C sort'], { image: gnu, inputs: artifacts ? [artifacts] : [] });
    expect(next.log).toContain('a/-dash.xml\na/b/back\\slash.xml\na/b/with space.xml\n');
    expect(next.log).not.toContain('c.txt\n');
  });

  it('keeps secrets out of what the engine tells', async () => {
    const seen: string[] = [];
    const teller = told();
    const request = jobRequest(['echo begun', 'sleep 2'], {
      image: bash,
      env: { TOKEN: 'very-secret-1' },
      secrets: ['very-secret-1'],
    });
    const executor = site.open();
    const running = executor.run(request, Promise.resolve(site.tree), teller.listener, never);
    await teller.shows('sleep 2');
    for (const info of await docker.listContainers({ filters: { label: [`slipway.job=${request.jobId}`] } })) {
      seen.push(JSON.stringify(await docker.getContainer(info.Id).inspect()));
    }
    await running;
    expect(seen).toHaveLength(1);
    expect(seen.join()).not.toContain('very-secret-1');
  });

  it('reaches its services by name once they listen', async () => {
    const service = { name: 'web', image: bash, env: {}, port: 8080, readyTimeoutSeconds: 20 };
    const command = ['sh', '-c', 'sleep 1; echo pong >/tmp/index.html; exec httpd -f -p 8080 -h /tmp'];
    const { log, outcome } = await run(['wget -qO- http://web:8080/index.html'], {
      services: [{ ...service, command }],
    });
    expect(log).toContain('pong');
    expect(outcome.kind).toBe('success');
  });

  it('shows the last lines of a service that dies', async () => {
    const command = ['sh', '-c', 'echo no password given; exit 4'];
    const service = { name: 'db', image: bash, env: {}, port: 5432, readyTimeoutSeconds: 20, command };
    const { log, outcome } = await run(['echo never'], { services: [service] });
    expect(outcome).toMatchObject({ kind: 'failure', reason: expect.stringContaining('exit code 4') });
    expect(log).toContain('no password given');
  });
});
