import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { accounts, type Registry, startRegistry } from '#dev/registry.ts';
import { openGitSource } from '#src/adapters/git/source.ts';
import type { JobRequest, Tree } from '#src/engine/ports.ts';
import { PlatformError } from '#src/model/outcome.ts';
import type { Repository } from '#src/model/repository.ts';
import type { ServiceSpec } from '#src/model/pipeline.ts';
import { jobRequest, never, told } from '#test/contracts/executor.ts';
import { bashImage, busyboxImage, derivedImage, docker, openSite, type Site } from './docker.ts';
import { startGitServer } from './git-server.ts';

let site: Site;
beforeAll(async () => {
  site = await openSite();
});
afterAll(() => site.dispose());

async function run(
  image: string,
  steps: readonly string[],
  more: Partial<JobRequest> = {},
  options: Parameters<Site['open']>[0] = {},
  tree: Tree = site.tree,
) {
  const teller = told();
  const executor = site.open(options);
  try {
    const request = jobRequest(steps, { image, ...more });
    const result = await executor.run(request, Promise.resolve(tree), teller.listener, never);
    return { ...result, log: teller.log() };
  } finally {
    await executor.close();
  }
}

describe('an image that is not here', () => {
  let registry: Registry;
  let name: string;
  const credentials = { credentialsOf: (host: string) => (host === registry.host ? accounts.anchor : null) };

  beforeAll(async () => {
    registry = await startRegistry(accounts.anchor);
    name = `${registry.host}/tools/box:1`;
    await docker.getImage(await busyboxImage()).tag({ repo: `${registry.host}/tools/box`, tag: '1' });
    const { username, password } = accounts.anchor;
    const push = await docker.getImage(name).push({ authconfig: { username, password, serveraddress: registry.host } });
    await new Promise((resolve, reject) => {
      docker.modem.followProgress(push, (error) => (error ? reject(error) : resolve(null)));
    });
  });
  afterAll(async () => {
    await docker
      .getImage(name)
      .remove({ force: true })
      .catch(() => {});
    await registry.stop();
  });

  it("is pulled with the operator's credentials, and the log says so", async () => {
    await docker.getImage(name).remove({ force: true });
    const { outcome, log } = await run(name, ['echo pulled'], {}, credentials);
    expect(outcome).toEqual({ kind: 'success' });
    expect(log).toMatch(new RegExp(`Pulling ${name}[^]*pulled\n`));
    expect(log.split('\n').length).toBeLessThan(20);
    expect(log).not.toContain(accounts.anchor.password);
  });

  it.each([
    ["may not be had: a stranger's job gets no credentials", '1', { trusted: false }],
    ["doesn't exist", 'none', {}],
  ])('%s', async (_name, tag, more) => {
    await docker
      .getImage(name)
      .remove({ force: true })
      .catch(() => {});
    const image = `${registry.host}/tools/box:${tag}`;
    const { outcome } = await run(image, ['true'], more, credentials);
    expect(outcome).toMatchObject({ kind: 'failure', reason: expect.stringContaining(image) as unknown });
  });

  it("that is here by the operator's credentials is no stranger's, by its name or by its id", async () => {
    await docker.getImage(await busyboxImage()).tag({ repo: `${registry.host}/tools/box`, tag: '1' });
    const id = (await docker.getImage(name).inspect()).Id.replace('sha256:', '');
    expect((await run(name, ['true'], {}, credentials)).outcome).toEqual({ kind: 'success' });
    for (const image of [name, id.slice(0, 12), id.slice(0, 12).toUpperCase(), id, `sha256:${id}`]) {
      const { outcome, log } = await run(image, ['echo mine'], { trusted: false }, credentials).catch(
        (error: unknown) => ({ outcome: { kind: (error as Error).name }, log: '' }),
      );
      expect({ image, outcome, log }).not.toMatchObject({ outcome: { kind: 'success' } });
      expect(log).not.toContain('mine');
    }
  });

  it('is the platform’s failure if its registry is away', async () => {
    await expect(run('127.0.0.1:1/box:1', ['true'])).rejects.toThrow(PlatformError);
  });
});

describe('a service', () => {
  const images: string[] = [];
  afterAll(async () => {
    for (const image of images) await docker.getImage(image).remove({ force: true });
  });
  const service = (image: string, change: Partial<ServiceSpec> = {}): ServiceSpec => ({
    name: 'db',
    image,
    env: {},
    command: null,
    port: null,
    readyTimeoutSeconds: 20,
    ...change,
  });

  it.each([
    [
      'its health check',
      ['CMD sh -c "sleep 1; touch /ready; sleep 600"', 'HEALTHCHECK --interval=1s CMD test -e /ready'],
    ],
    ['its exposed port', ['EXPOSE 80', 'CMD sh -c "sleep 1; touch /ready; httpd -f -p 80"']],
  ])('is ready by %s', async (_name, changes) => {
    const image = await derivedImage(`slipway-test/service-${images.length}`, await busyboxImage(), changes);
    images.push(image);
    // A link to the time: the job may only begin once the service took its second.
    const { outcome, log } = await run(await busyboxImage(), ['nslookup db >/dev/null 2>&1; echo began'], {
      services: [service(image)],
    });
    expect(outcome).toEqual({ kind: 'success' });
    expect(log).toContain('began');
  });

  it('that never gets ready fails the job, with its last lines', async () => {
    const { outcome, log } = await run(await busyboxImage(), ['echo never'], {
      services: [
        service(await busyboxImage(), {
          command: ['sh', '-c', 'echo waiting for godot; sleep 600'],
          port: 5432,
          readyTimeoutSeconds: 2,
        }),
      ],
    });
    expect(outcome).toMatchObject({ kind: 'failure', reason: expect.stringMatching(/db.*5432/) as unknown });
    expect(log).toContain('waiting for godot');
    expect(log).not.toContain('never');
  });
});

it('knows its tags: git describe works in the workspace, and nothing in it has credentials', async () => {
  const home = await mkdtemp(join(tmpdir(), 'slipway-describe-'));
  const server = await startGitServer({ token: 'not-to-be-seen' });
  const source = await openGitSource({ home, origin: null, token: async () => 'not-to-be-seen' });
  try {
    const remote = await server.create('acme/tagged');
    await remote.commit({ 'a.txt': 'one' }, { branch: 'main' });
    await remote.git('-c', 'user.name=a', '-c', 'user.email=a@b.c', 'tag', '-a', '-m', 'v1', 'v1.2.3', 'main');
    const sha = await remote.commit({ 'a.txt': 'two' }, { branch: 'main' });
    const repository: Repository = {
      id: 1,
      owner: 'acme',
      name: 'tagged',
      defaultBranch: 'main',
      private: true,
      cloneUrl: remote.cloneUrl,
      installationId: 1,
    };
    await using tree = await source.tree(repository, { sha, ref: 'refs/heads/main' }, never.cancel);
    const steps = [
      'git describe --tags',
      'git status --porcelain',
      'grep -r not-to-be-seen . .git && exit 1 || echo clean',
      'env',
    ];
    const { outcome, log } = await run(await bashImage(), steps, {}, {}, tree);
    expect(outcome).toEqual({ kind: 'success' });
    expect(log).toMatch(/^v1\.2\.3-1-g[0-9a-f]+$/m);
    expect(log).toContain('clean');
    expect(log).not.toContain('not-to-be-seen\n');
  } finally {
    await source.close();
    await server.close();
    await rm(home, { recursive: true, force: true });
  }
});
