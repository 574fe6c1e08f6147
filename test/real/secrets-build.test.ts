import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { pack } from 'tar-stream';
import { ensureImage } from '#dev/images/index.ts';
import { accounts, type Registry, startRegistry } from '#dev/registry.ts';
import { openImageBuilder } from '#src/adapters/docker/build/index.ts';
import type { BuildRequest, ImageBuilder } from '#src/engine/ports.ts';
import { docker } from './docker.ts';

const VALUE = 'npm_9f83"hard\nto $(guess)';

describe('a secret of a build', () => {
  let registry: Registry;
  let builder: ImageBuilder;
  const folders: string[] = [];
  const images: string[] = [];

  beforeAll(async () => {
    await ensureImage('slipway-dev/busybox');
    registry = await startRegistry(accounts.anchor);
    builder = openImageBuilder({
      docker,
      credentialsOf: () => accounts.anchor,
      openArchive: async () => pack() as unknown as Readable,
    });
  }, 60_000);
  afterAll(async () => {
    await registry.stop();
    for (const image of images)
      await docker
        .getImage(image)
        .remove({ force: true })
        .catch(() => {});
    for (const folder of folders) await rm(folder, { recursive: true, force: true });
  });

  async function build(dockerfile: string, change: Partial<BuildRequest> = {}) {
    const path = await mkdtemp(join(tmpdir(), 'slipway-secret-build-'));
    folders.push(path);
    await writeFile(join(path, 'Dockerfile'), `FROM slipway-dev/busybox\n${dockerfile}\n`);
    const image = `${registry.host}/acme/secret-${randomUUID()}`;
    images.push(`${image}:v1`);
    let log = '';
    const given = change.given ?? {};
    const result = await builder.build(
      {
        jobId: 'job',
        repository: 'acme/shop',
        build: {
          context: '.',
          dockerfile: 'Dockerfile',
          image,
          target: null,
          args: {},
          secrets: { NPM_TOKEN: 'npm_token' },
        },
        tags: ['v1'],
        inputs: [],
        secrets: Object.values(given),
        labels: {},
        timeoutMs: 60_000,
        trusted: true,
        ...change,
        given,
      },
      Promise.resolve({ path, [Symbol.asyncDispose]: async () => {} }),
      { begin: () => 0, rewind: async () => {}, log: (bytes) => (log += bytes.toString()), step() {} },
      new AbortController().signal,
    );
    return { ...result, log, image: `${image}:v1` };
  }

  /** What the instruction left in the image. */
  async function output(image: string): Promise<string> {
    const { stdout } = await promisify(execFile)('docker', ['run', '--rm', '--network=none', image, 'cat', '/out']);
    return stdout;
  }

  const mount = 'RUN --mount=type=secret,id=NPM_TOKEN';

  it('is there for the instruction that mounts it, byte for byte, and nowhere in the image or the log', async () => {
    const { outcome, log, image } = await build(
      [
        `ENV N=${randomUUID()}`,
        `${mount} cat /run/secrets/NPM_TOKEN; wc -c </run/secrets/NPM_TOKEN >/out; md5sum </run/secrets/NPM_TOKEN >>/out`,
        'RUN ls /run/secrets 2>/dev/null; echo "$NPM_TOKEN" >>/out; env',
      ].join('\n'),
      { given: { NPM_TOKEN: VALUE } },
    );
    expect(outcome).toEqual({ kind: 'success' });
    expect(log).toContain('***');
    expect(log).not.toContain('9f83');
    const [size, sum, variable] = (await output(image)).split('\n');
    expect([Number(size), variable]).toEqual([VALUE.length, '']);
    expect(sum).toMatch(/^[0-9a-f]{32} /);
    const found = docker.getImage(image);
    expect(JSON.stringify([await found.history(), await found.inspect()])).not.toContain('9f83');
    // Every layer, as the engine exports it: the file itself was never written.
    const saved: Buffer[] = [];
    for await (const chunk of await found.get()) saved.push(chunk as Buffer);
    expect(Buffer.concat(saved).includes('9f83')).toBe(false);
  });

  it('is not there under another id, nor for a build that names none, nor by a name that objects have', async () => {
    const line = (id: string) =>
      `ENV N=${randomUUID()}\nRUN --mount=type=secret,id=${id} ls -A /run/secrets 2>/dev/null | wc -l >/out`;
    for (const [id, given] of [
      ['OTHER', { NPM_TOKEN: VALUE }],
      ['NPM_TOKEN', {}],
      ['constructor', { NPM_TOKEN: VALUE }],
      ['__proto__', { NPM_TOKEN: VALUE }],
    ] as const) {
      const { outcome, image } = await build(line(id), { given });
      expect([id, outcome]).toEqual([id, { kind: 'success' }]);
      expect([id, await output(image)]).toEqual([id, '0\n']);
    }
  });

  it('that is required and withheld is a failure of the Dockerfile', async () => {
    const { outcome, log } = await build(`ENV N=${randomUUID()}\n${mount},required=true true`);
    expect(outcome.kind).toBe('failure');
    expect(log).toContain('not found');
  });

  it('without a network has none', async () => {
    const file = `ENV N=${randomUUID()}\nRUN ls /sys/class/net >/out`;
    expect(await output((await build(file, { network: 'none' })).image)).toBe('lo\n');
    expect(await output((await build(file)).image)).not.toBe('lo\n');
  });

  it("doesn't meet a stranger in a cache mount", async () => {
    const id = randomUUID();
    const file = () =>
      `ENV N=${randomUUID()}\nRUN --mount=type=cache,id=${id},target=/c cat /c/* >/out 2>/dev/null; echo poison >/c/it`;
    const built: string[] = [];
    for (const trusted of [false, true, false]) built.push(await output((await build(file(), { trusted })).image));
    expect(built).toEqual(['', '', 'poison\n']);
  });

  it("doesn't get a stranger's layer, nor another repository's, in place of its own, nor gives it its own", async () => {
    const file = `ENV N=${randomUUID()}\n${mount} cat /run/secrets/NPM_TOKEN 2>/dev/null | wc -c >/out; cat /proc/sys/kernel/random/uuid >>/out`;
    const built: string[] = [];
    for (const change of [
      { trusted: false },
      { given: { NPM_TOKEN: VALUE } },
      { given: { NPM_TOKEN: VALUE } },
      { given: { NPM_TOKEN: 'another' }, repository: 'acme/other' },
      { trusted: false },
    ] satisfies readonly Partial<BuildRequest>[]) {
      const { outcome, image } = await build(file, change);
      expect(outcome).toEqual({ kind: 'success' });
      built.push(await output(image));
    }
    const [strange, own, again, other, stranger] = built;
    expect(built.map((text) => text.split('\n')[0])).toEqual(['0', `${VALUE.length}`, `${VALUE.length}`, '7', '0']);
    // Each has a cache all the same.
    expect([again, stranger]).toEqual([own, strange]);
    expect(other).not.toBe(own);
  });

  it("doesn't get a layer that another repository made behind a proxy of its choice", async () => {
    const file = `ENV N=${randomUUID()}\nRUN echo "$http_proxy" >/out`;
    const spec = (args: Readonly<Record<string, string>>, image: string) => ({
      build: { context: '.', dockerfile: 'Dockerfile', image, target: null, args },
    });
    const name = () => `${registry.host}/acme/secret-${randomUUID()}`;
    const [poisoned, plain] = [name(), name()];
    images.push(`${poisoned}:v1`, `${plain}:v1`);
    await build(file, { ...spec({ http_proxy: 'http://evil.example' }, poisoned), repository: 'eve/other' });
    await build(file, spec({}, plain));
    expect(await output(`${poisoned}:v1`)).toBe('http://evil.example\n');
    expect(await output(`${plain}:v1`)).toBe('\n');
  });
});

describe("a stranger's build", () => {
  let registry: Registry;
  const folders: string[] = [];
  const images: string[] = [];

  beforeAll(async () => {
    await ensureImage('slipway-dev/busybox');
    registry = await startRegistry(accounts.anchor);
  }, 60_000);
  afterAll(async () => {
    await registry.stop();
    for (const image of images)
      await docker
        .getImage(image)
        .remove({ force: true })
        .catch(() => {});
    for (const folder of folders) await rm(folder, { recursive: true, force: true });
  });

  async function build(dockerfile: string, archive: () => Readable, change: Partial<BuildRequest> = {}) {
    const path = await mkdtemp(join(tmpdir(), 'slipway-strange-build-'));
    folders.push(path);
    await writeFile(join(path, 'Dockerfile'), dockerfile);
    const builder = openImageBuilder({
      docker,
      credentialsOf: (host) => (host === registry.host ? accounts.anchor : null),
      hasAccounts: change.trusted === true || dockerfile.includes(registry.host),
      openArchive: async () => archive(),
    });
    let log = '';
    const { outcome } = await builder.build(
      {
        jobId: 'job',
        repository: 'acme/shop',
        build: { context: '.', dockerfile: 'Dockerfile', image: null, target: null, args: {} },
        tags: [],
        inputs: [{ id: 'x', bytes: 1 } as never],
        secrets: [],
        labels: {},
        timeoutMs: 60_000,
        trusted: false,
        given: {},
        ...change,
      },
      Promise.resolve({ path, [Symbol.asyncDispose]: async () => {} }),
      { begin: () => 0, rewind: async () => {}, log: (bytes) => (log += bytes.toString()), step() {} },
      new AbortController().signal,
    );
    return { outcome, log };
  }
  const nothing = () => {
    const tar = pack();
    tar.finalize();
    return tar as unknown as Readable;
  };

  it('takes no frontend of its own, nor one that an earlier job put in the place of the Dockerfile', async () => {
    const direct = await build('# syntax=eve/frontend\nFROM slipway-dev/busybox', nothing);
    expect(direct.outcome).toMatchObject({ kind: 'failure' });
    expect(direct.log).toContain("built by Docker's own alone");
    const word = randomUUID();
    const evil = (name: string) => () => {
      const tar = pack();
      if (name.startsWith('d/')) tar.entry({ name: 'd', type: 'symlink', linkname: '.' });
      tar.entry({ name }, `FROM slipway-dev/busybox\nRUN echo evil-${word}-$((1+1))`);
      tar.finalize();
      return tar as unknown as Readable;
    };
    for (const name of ['Dockerfile', './Dockerfile', 'd/Dockerfile']) {
      const { outcome, log } = await build(`FROM slipway-dev/busybox\nRUN echo good-${word}-$((1+1))`, evil(name));
      expect({ name, outcome }).toEqual({ name, outcome: { kind: 'success' } });
      expect(log).toContain('good-');
      expect(log).not.toContain('evil-');
    }
  });

  it("begins with no image that the engine has by the operator's credentials", async () => {
    const name = `${registry.host}/acme/private`;
    images.push(`${name}:1`);
    await docker.getImage('slipway-dev/busybox').tag({ repo: name, tag: '1' });
    const { username, password } = accounts.anchor;
    const push = await docker
      .getImage(`${name}:1`)
      .push({ authconfig: { username, password, serveraddress: registry.host } });
    await new Promise((resolve, reject) => {
      docker.modem.followProgress(push, (error) => (error ? reject(error) : resolve(null)));
    });
    for (const dockerfile of [
      `FROM ${name}:1\nRUN echo stolen-$((1+1))`,
      `ARG R=${registry.host}\nFROM \${R}/acme/private:1\nRUN echo stolen-$((1+1))`,
    ]) {
      const strange = await build(dockerfile, nothing);
      expect(strange.outcome).toMatchObject({ kind: 'failure' });
      expect(strange.log).not.toContain('stolen-2');
      expect((await build(dockerfile, nothing, { trusted: true })).outcome).toEqual({ kind: 'success' });
    }
  });
});
