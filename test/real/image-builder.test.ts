import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import Docker from 'dockerode';
import { pack } from 'tar-stream';
import { ensureImage } from '#dev/images/index.ts';
import { accounts, type Registry, startRegistry } from '#dev/registry.ts';
import { openImageBuilder } from '#src/adapters/docker/build/index.ts';
import type { BuildRequest, ImageBuilder, Tree } from '#src/engine/ports.ts';
import { type BuildKind, imageBuilderContract } from '#test/contracts/image-builder.ts';

const docker = new Docker();
const folders: string[] = [];
const never = new AbortController().signal;

async function treeOf(files: Readonly<Record<string, string>>, links: Readonly<Record<string, string>> = {}) {
  const path = await mkdtemp(join(tmpdir(), 'slipway-context-'));
  folders.push(path);
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(path, name)), { recursive: true });
    await writeFile(join(path, name), text);
  }
  for (const [name, target] of Object.entries(links)) await symlink(target, join(path, name));
  return { path, async [Symbol.asyncDispose]() {} } satisfies Tree;
}

async function removeImages(host: string): Promise<void> {
  const images = await docker.listImages();
  const names = images.flatMap(({ RepoTags }) => RepoTags ?? []).filter((name) => name.startsWith(`${host}/`));
  for (const name of names) await docker.getImage(name).remove();
}

afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

imageBuilderContract("The engine's BuildKit", async (secret) => {
  await ensureImage('slipway-dev/busybox');
  const open = await startRegistry(accounts.anchor);
  const closed = await startRegistry(accounts.rope);
  const { anchor } = accounts;
  const lines: Readonly<Record<BuildKind, string>> = {
    good: `RUN echo "the word is ${secret}"`,
    broken: 'RUN exit 3',
    // Never the same, because builds of the same would share one and outlive each other.
    endless: `RUN echo ${randomUUID()}; sleep 600`,
    refused: 'RUN true',
    unreachable: 'RUN true',
  };
  return {
    builder: openImageBuilder({
      docker,
      credentialsOf: (host) => (host === open.host ? anchor : null),
      openArchive: async () => pack() as unknown as Readable,
      retryDelaysMs: [1],
    }),
    image: (kind) =>
      `${kind === 'refused' ? closed.host : kind === 'unreachable' ? '127.0.0.1:1' : open.host}/acme/${kind}`,
    // --no-cache has no place in the product; an argument that differs does the same.
    tree: (kind) => treeOf({ Dockerfile: `FROM slipway-dev/busybox\nENV N=${randomUUID()}\n${lines[kind]}\n` }),
    async close() {
      for (const registry of [open, closed]) {
        await removeImages(registry.host);
        await registry.stop();
      }
    },
  };
});

describe('An image built by the engine', () => {
  let one: Registry;
  let other: Registry;
  let builder: ImageBuilder;
  const archives = new Map<string, Readable>();

  beforeAll(async () => {
    await ensureImage('slipway-dev/busybox');
    one = await startRegistry(accounts.anchor);
    other = await startRegistry(accounts.rope);
    builder = openImageBuilder({
      docker,
      credentialsOf: (host) => (host === one.host ? accounts.anchor : host === other.host ? accounts.rope : null),
      openArchive: async (ref) => archives.get(ref) ?? (pack() as unknown as Readable),
    });
  }, 60_000);

  afterAll(async () => {
    for (const registry of [one, other]) {
      await removeImages(registry.host);
      await registry.stop();
    }
  });

  async function build(
    tree: Tree,
    change: Partial<BuildRequest['build']> = {},
    tags: readonly string[] = [],
    inputs: readonly string[] = [],
    labels: Readonly<Record<string, string>> = {},
    trusted = true,
    built?: string,
  ) {
    let log = '';
    const result = await builder.build(
      {
        jobId: 'job',
        repository: 'acme/shop',
        build: { context: '.', dockerfile: 'Dockerfile', image: null, target: null, args: {}, ...change },
        tags,
        inputs,
        secrets: [],
        labels,
        timeoutMs: 60_000,
        trusted,
        given: {},
        ...(built === undefined ? {} : { built }),
      },
      Promise.resolve(tree),
      { begin: () => 0, rewind: async () => {}, log: (bytes) => (log += bytes.toString()), step() {} },
      never,
    );
    return { ...result, log };
  }

  it('that was built before by another engine is fetched and named; one that is gone everywhere is built again', async () => {
    const repository = `${one.host}/acme/once`;
    const tree = await treeOf({ Dockerfile: `FROM slipway-dev/busybox\nENV N=${randomUUID()}\n` });
    const first = await build(tree, { image: repository }, ['v1']);
    const forget = async () => {
      for (const name of (await docker.listImages()).flatMap(({ RepoTags }) => RepoTags ?? []))
        if (name.startsWith(`${repository}:`)) await docker.getImage(name).remove();
    };
    await forget();
    const again = await build(tree, { image: repository }, ['v2'], [], {}, true, first.image ?? '');
    expect(again.image).toBe(first.image);
    expect(again.log).not.toContain('FROM slipway-dev/busybox');

    await forget();
    const gone = `${repository}@sha256:${'0'.repeat(64)}`;
    const anew = await build(tree, { image: repository }, ['v3'], [], {}, true, gone);
    expect(anew.image).toMatch(/@sha256:/);
    expect(anew.image).not.toBe(gone);
    expect(anew.log).toContain("can't be had any more");
  }, 60_000);

  it('has the labels, and is under each tag with the digest that was answered', async () => {
    const tree = await treeOf({ Dockerfile: `FROM slipway-dev/busybox\nENV N=${randomUUID()}\n` });
    const labels = { 'org.opencontainers.image.revision': 'abc' };
    const { image } = await build(tree, { image: `${one.host}/acme/shop` }, ['v1', 'abc'], [], labels);
    const digest = image?.split('@')[1];
    const { username, password } = accounts.anchor;
    for (const tag of ['v1', 'abc']) {
      const answer = await fetch(`${one.url}/v2/acme/shop/manifests/${tag}`, {
        method: 'HEAD',
        headers: {
          authorization: `Basic ${btoa(`${username}:${password}`)}`,
          accept:
            'application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json',
        },
      });
      expect(answer.headers.get('docker-content-digest')).toBe(digest);
    }
    const { Config } = await docker.getImage(`${one.host}/acme/shop:v1`).inspect();
    expect(Config.Labels).toMatchObject(labels);
  });

  it('leaves no temporary name behind', async () => {
    const label = randomUUID();
    const tree = await treeOf({ Dockerfile: `FROM slipway-dev/busybox\nENV N=${label}\n` });
    expect((await build(tree, {}, [], [], { label })).outcome).toEqual({ kind: 'success' });
    const left = await docker.listImages({ filters: { label: [`label=${label}`] } });
    expect(left.flatMap(({ RepoTags }) => RepoTags ?? [])).toEqual([]);
  });

  it('comes from base images of two private registries, each with its own credentials', async () => {
    const base = await treeOf({ Dockerfile: `FROM slipway-dev/busybox\nRUN echo ${randomUUID()} >/word\n` });
    await build(base, { image: `${one.host}/base` }, ['1']);
    await build(base, { image: `${other.host}/base` }, ['1']);
    await removeImages(one.host);
    await removeImages(other.host);
    const tree = await treeOf({
      Dockerfile: `FROM ${one.host}/base:1 AS first\nFROM ${other.host}/base:1\nCOPY --from=first /word /first\n`,
    });
    expect((await build(tree)).outcome).toEqual({ kind: 'success' });
  });

  it("doesn't come from a private registry if the commit is a stranger's", async () => {
    const base = await treeOf({ Dockerfile: `FROM slipway-dev/busybox\nRUN echo ${randomUUID()} >/word\n` });
    await build(base, { image: `${one.host}/base` }, ['private']);
    await removeImages(one.host);
    const tree = await treeOf({ Dockerfile: `FROM ${one.host}/base:private\n` });
    expect((await build(tree, {}, [], [], {}, false)).outcome.kind).toBe('failure');
    expect((await build(tree)).outcome.kind).toBe('success');
  });

  it('holds the files of its context and what earlier jobs made, and nothing from outside', async () => {
    const archive = pack();
    archive.entry({ name: 'app/dist/index.js' }, 'made');
    archive.entry({ name: 'app/kept.txt' }, 'replaced');
    archive.entry({ name: 'elsewhere.txt' }, 'x');
    archive.entry({ name: '../../escape.txt' }, 'x');
    archive.finalize();
    archives.set('dist', archive as unknown as Readable);
    const tree = await treeOf(
      {
        'app/Dockerfile': [
          'FROM slipway-dev/busybox',
          'COPY . /app',
          // A step that was cached says nothing.
          `RUN : ${randomUUID()} && cd /app && find . | sort && cat dist/index.js kept.txt`,
          'RUN test ! -e /app/passwd && readlink /app/passwd',
        ].join('\n'),
        'app/.dockerignore': 'node_modules\n**/*.log\n',
        'app/kept.txt': 'old',
        'app/node_modules/x/index.js': 'x',
        'app/deep/down.log': 'x',
        'secret.txt': 'outside the context',
      },
      { 'app/passwd': '../../../../../../../../../does-not-exist/passwd' },
    );
    const { outcome, log } = await build(tree, { context: 'app' }, [], ['dist']);
    expect(outcome).toEqual({ kind: 'success' });
    expect(log).toContain(
      './.dockerignore\n./Dockerfile\n./deep\n./dist\n./dist/index.js\n./kept.txt\n./passwd\nmadereplaced',
    );
  });

  it('takes arguments and stops at the target', async () => {
    const dockerfile = `FROM slipway-dev/busybox AS early\nARG WORD\nRUN echo said $WORD ${randomUUID()}\nFROM early\nRUN exit 1\n`;
    const { outcome, log } = await build(await treeOf({ Dockerfile: dockerfile }), {
      target: 'early',
      args: { WORD: 'ahoy' },
    });
    expect(outcome).toEqual({ kind: 'success' });
    expect(log).toContain('said ahoy');
  });

  it.each<[string, Readonly<Record<string, string>>, Partial<BuildRequest['build']>, RegExp]>([
    ['no Dockerfile', { 'a.txt': '' }, {}, /There is no file Dockerfile\./],
    ['no such context', { Dockerfile: '' }, { context: 'app' }, /no folder app/],
    ['a context outside', { Dockerfile: '' }, { context: '../..' }, /leads out of the repository/],
    ['an unknown instruction', { Dockerfile: 'FROM slipway-dev/busybox\nFOO\n' }, {}, /^Dockerfile:2: unknown instruc/],
    [
      'a failing command',
      { Dockerfile: 'FROM slipway-dev/busybox\n\nRUN true && \\\n  exit 7\n' },
      {},
      /^Dockerfile:3: `RUN true && +exit 7` ended with exit code 7\.$/,
    ],
    [
      'a missing file',
      { Dockerfile: 'FROM slipway-dev/busybox\nCOPY dist /dist\n' },
      {},
      /^Dockerfile:2: `COPY dist \/dist` needs dist, which/,
    ],
    ['a missing stage', { Dockerfile: 'FROM slipway-dev/busybox\n' }, { target: 'late' }, /late/],
  ])('fails with a reason for its author: %s', async (_name, files, change, reason) => {
    const { outcome } = await build(await treeOf(files), change);
    expect(outcome).toEqual({ kind: 'failure', reason: expect.stringMatching(reason) });
  });

  it("doesn't follow a Dockerfile that links out of the repository", async () => {
    const secret = await treeOf({ Dockerfile: 'FROM slipway-dev/busybox\nRUN echo read from outside\n' });
    const { outcome, log } = await build(await treeOf({}, { Dockerfile: join(secret.path, 'Dockerfile') }));
    expect(outcome).toMatchObject({ kind: 'failure' });
    expect(log).not.toContain('read from outside');
  });

  it('names a base image that the registry hasn’t', async () => {
    const { outcome } = await build(await treeOf({ Dockerfile: `FROM ${one.host}/acme/none:1\n` }));
    expect(outcome).toEqual({ kind: 'failure', reason: expect.stringContaining(`${one.host}/acme/none:1`) });
  });
});
