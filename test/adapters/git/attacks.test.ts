import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { lstat, mkdtemp, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { array, assert, property, stringMatching } from 'fast-check';
import { createGit } from '#src/adapters/git/command.ts';
import { isRef, remoteAt } from '#src/adapters/git/names.ts';
import { type GitSource, openGitSource } from '#src/adapters/git/source.ts';
import { PlatformError, UserError } from '#src/model/outcome.ts';
import type { Repository } from '#src/model/repository.ts';
import { type GitRepository, type GitServer, startGitServer } from '#test/real/git-server.ts';

const { signal } = new AbortController();
const ref = 'refs/heads/main';
let home: string;
let server: GitServer;
let remote: GitRepository;
let source: GitSource;
let asked: number;
const opened: Server[] = [];

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'slipway-git-attacks-'));
  server = await startGitServer();
  remote = await server.create('acme/shop');
  asked = 0;
  source = await open();
});
afterEach(async () => {
  for (const other of opened.splice(0)) {
    other.close();
    other.closeAllConnections();
  }
  await source.close();
  await server.close();
  await rm(home, { recursive: true, force: true });
});

function open(more: Partial<Parameters<typeof openGitSource>[0]> = {}): Promise<GitSource> {
  const token = async () => {
    asked += 1;
    return 'ghs_verySecretToken123';
  };
  return openGitSource({ home, origin: server.url, token, retryDelaysMs: [], ...more });
}

function repositoryAt(cloneUrl: string): Repository {
  return { id: 42, owner: 'acme', name: 'shop', defaultBranch: 'main', private: true, cloneUrl, installationId: 1 };
}

/** A commit of objects that no git client would make; `entries` are of the root tree, as in `git ls-tree`. */
function commitOf(...entries: readonly (readonly [mode: string, name: string, sha: string])[]): string {
  const sha = tree(...entries);
  const commit = git(['commit-tree', '-m', 'hostile', sha]);
  git(['update-ref', ref, commit]);
  return commit;
}

function tree(...entries: readonly (readonly [mode: string, name: string, sha: string])[]): string {
  const bytes = entries.flatMap(([mode, name, sha]) => [Buffer.from(`${mode} ${name}\0`), Buffer.from(sha, 'hex')]);
  return git(['hash-object', '-t', 'tree', '--literally', '-w', '--stdin'], Buffer.concat(bytes));
}

const blob = (text: string) => git(['hash-object', '-w', '--stdin'], Buffer.from(text));

function git(args: readonly string[], input: Buffer = Buffer.alloc(0)): string {
  const who = { GIT_AUTHOR_NAME: 'x', GIT_AUTHOR_EMAIL: 'x@x', GIT_COMMITTER_NAME: 'x', GIT_COMMITTER_EMAIL: 'x@x' };
  const options = { cwd: remote.dir, input, encoding: 'utf8', env: { ...process.env, ...who }, stdio: 'pipe' } as const;
  return execFileSync('git', args, options).trim();
}

describe('a clone address', () => {
  const github = 'https://github.com';

  it.each([
    'https://evil.example/acme/shop.git',
    'https://github.com.evil.example/acme/shop.git',
    'https://github.com@evil.example/acme/shop.git',
    'https://github.com:x@evil.example/acme/shop.git',
    'https://evil.example#github.com/acme/shop.git',
    'https://evil.example\\@github.com/acme/shop.git',
    'https://github.com:8443/acme/shop.git',
    'http://github.com/acme/shop.git',
    'https://169.254.169.254/latest/meta-data',
    'https://[::1]/acme/shop.git',
    'https://github.com./acme/shop.git',
    'https://gіthub.com/acme/shop.git',
    'https://github.com/acme/shop.git?x=1',
    'https://github.com/acme/shop.git#x',
    '/etc',
    'file:///etc',
    'ext::sh -c touch% /tmp/x',
    'ssh://git@github.com/acme/shop.git',
    'git@github.com:acme/shop.git',
    '--upload-pack=touch /tmp/x',
    'javascript:alert(1)',
    '',
  ])('%j is refused', (address) => {
    expect(() => remoteAt(address, github)).toThrow(PlatformError);
  });

  it.each([
    ['https://github.com/acme/shop.git', github],
    ['https://x:y@github.com:443/acme/shop.git', github],
    ['HTTPS://GITHUB.com/acme/shop.git', github],
    ['http://git.acme.example:8080/acme/shop.git', 'http://git.acme.example:8080'],
  ])('%j is taken, without what it holds of credentials', (address, origin) => {
    expect(remoteAt(address, origin).url).toMatch(
      /^https?:\/\/(github\.com|git\.acme\.example:8080)\/acme\/shop\.git$/,
    );
  });

  it('of another host is never asked, and no token made for it', async () => {
    let requests = 0;
    const other = await listen((_request, response) => {
      requests += 1;
      response.end();
    });
    const url = `${other}/acme/shop.git`;
    const commit = { sha: 'a'.repeat(40), ref };
    const repository = repositoryAt(url);
    const message = /leads to http:\/\/127\.0\.0\.1:\d+, but this server fetches from/;
    await expect(source.resolve(repository, ref, signal)).rejects.toThrow(message);
    await expect(source.read(repository, commit, ['slipway.yml'], signal)).rejects.toThrow(message);
    await expect(source.tree(repository, commit, signal)).rejects.toThrow(message);
    expect([requests, asked]).toEqual([0, 0]);
  });

  it('that redirects elsewhere is not followed, and the token stays', async () => {
    let requests = 0;
    const evil = await listen((_request, response) => {
      requests += 1;
      response.end();
    });
    const origin = await listen((request, response) => {
      response.writeHead(302, { location: `${evil}${request.url}` }).end();
    });
    await using own = await closing(open({ origin }));
    await expect(own.source.resolve(repositoryAt(`${origin}/acme/shop.git`), ref, signal)).rejects.toThrow(/redirect/);
    expect(requests).toBe(0);
  });
});

/** Another server, which ends with the test. Answers its address. */
async function listen(listener: RequestListener): Promise<string> {
  const other = createServer(listener);
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  opened.push(other);
  return `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
}

async function closing(opening: Promise<GitSource>): Promise<AsyncDisposable & { source: GitSource }> {
  const own = await opening;
  return { source: own, [Symbol.asyncDispose]: () => own.close() };
}

describe('a ref', () => {
  it('is taken only if git itself would take it, and never looks like an option', () => {
    const part = stringMatching(/^[-a-z@{}.~^:?*[\\ \n\0/\u202e\u200bü]{0,8}$/);
    assert(
      property(array(part, { maxLength: 4 }), (parts) => {
        const name = `refs/heads/${parts.join('/')}`;
        if (!isRef(name)) return;
        execFileSync('git', ['check-ref-format', name], { stdio: 'pipe' });
      }),
      { numRuns: 300 },
    );
    for (const hostile of ['-x', '--upload-pack=x', 'HEAD', 'refs/../../x', 'main', 'refs/heads/x\0']) {
      expect(isRef(hostile)).toBe(false);
    }
  });

  it.each(['--upload-pack=touch x', 'refs/heads/a b', 'refs/heads/..', '../../x', 'refs/heads/@{-1}'])(
    '%j gets nowhere near git',
    async (hostile) => {
      const repository = repositoryAt(remote.cloneUrl);
      await expect(source.resolve(repository, hostile, signal)).rejects.toThrow(UserError);
      await expect(source.tree(repository, { sha: 'a'.repeat(40), ref: hostile }, signal)).rejects.toThrow(UserError);
      await expect(source.tree(repository, { sha: '--help', ref }, signal)).rejects.toThrow(UserError);
      expect(server.requests).toEqual([]);
    },
  );
});

describe('a hostile tree', () => {
  const take = (sha: string) => source.tree(repositoryAt(remote.cloneUrl), { sha, ref }, signal);

  it.each([
    '..',
    '.',
    '.git',
    '.GIT',
    '.git ',
    'GIT~1',
    '.g\u200cit',
    '.git::$INDEX_ALLOCATION',
    'a/../../x',
    '/etc',
    '.git\\x',
  ])('with an entry named %j is refused', async (name) => {
    const sha = commitOf(['40000', name, tree(['100644', 'config', blob('[core]\n\tfsmonitor = touch /tmp/x\n')])]);
    await expect(take(sha)).rejects.toThrow(/check out|fetch/);
    expect(existsSync(join(home, 'etc'))).toBe(false);
  });

  it("doesn't write through a link of its own", async () => {
    const outside = join(home, 'outside');
    const folder = tree(['100644', 'x', blob('written through')]);
    // Twice the same name: first the link, then the folder in its place.
    const sha = commitOf(['120000', 'a', blob(home)], ['40000', 'a', folder], ['120000', 'x', blob(outside)]);
    const made = await take(sha).catch(() => null);
    await made?.[Symbol.asyncDispose]();
    expect(readdirSync(home).toSorted()).toEqual(['mirrors', 'trees']);
  });

  it("doesn't write through a link of the commit before, when a tree is moved on", async () => {
    const first = commitOf(['120000', 'a', blob(home)]);
    await (await take(first))[Symbol.asyncDispose]();
    const sha = commitOf(['40000', 'a', tree(['100644', 'stolen', blob('text')])]);
    await using made = await take(sha);
    expect((await lstat(join(made.path, 'a'))).isDirectory()).toBe(true);
    expect(existsSync(join(home, 'stolen'))).toBe(false);
  });

  it('has links as they are, and names that differ in case only', async () => {
    const sha = commitOf(
      ['100644', 'A', blob('1')],
      ['100644', 'a', blob('2')],
      ['120000', 'passwd', blob('/etc/passwd')],
    );
    await using made = await take(sha);
    expect(await readlink(join(made.path, 'passwd'))).toBe('/etc/passwd');
    expect(await readFile(join(made.path, 'A'), 'utf8')).toBe('1');
    expect(await readFile(join(made.path, 'a'), 'utf8')).toBe('2');
  });

  it('fetches no submodule and runs no filter, hook or monitor', async () => {
    const mark = join(home, 'ran');
    const modules = `[submodule "x"]\n\tpath = sub\n\turl = ext::touch ${mark}\n\tupdate = !touch ${mark}\n`;
    const sha = commitOf(
      ['100644', '.gitattributes', blob('* filter=lfs diff=x merge=x\n*.utf working-tree-encoding=UTF-16\n')],
      ['100644', '.gitmodules', blob(modules)],
      ['100755', 'post-checkout', blob(`#!/bin/sh\ntouch ${mark}\n`)],
      ['160000', 'sub', 'b'.repeat(40)],
    );
    await using made = await take(sha);
    expect(readdirSync(join(made.path, 'sub'))).toEqual([]);
    expect(existsSync(mark)).toBe(false);
    expect(await readFile(join(made.path, '.git/config'), 'utf8')).not.toMatch(/submodule|filter/);
  });

  it('that a few objects blow up to billions of files is given up, and removed', async () => {
    await source.close();
    source = await open({ limits: { files: 1_000, bytes: 1024 ** 3 } });
    let level = tree(...Array.from({ length: 10 }, (_, i) => ['100644', `f${i}`, blob('x')] as const));
    for (let depth = 0; depth < 9; depth += 1) {
      const below = level;
      level = tree(...Array.from({ length: 10 }, (_, i) => ['40000', `d${i}`, below] as const));
    }
    const sha = commitOf(['40000', 'bomb', level], ['100644', 'slipway.yml', blob('jobs: {}')]);
    await expect(take(sha)).rejects.toThrow(/it has more than 1000 files/);
    const repository = repositoryAt(remote.cloneUrl);
    await expect(source.list(repository, { sha, ref }, signal)).rejects.toThrow(UserError);
    const files = await source.read(repository, { sha, ref }, ['slipway.yml'], signal);
    expect(files.get('slipway.yml')).toBe('jobs: {}');
    await source.close();
    expect(
      readdirSync(join(home, 'trees'), { recursive: true }).filter((name) => String(name).includes('bomb')),
    ).toEqual([]);
  });

  it('whose files are larger in all than a disk is given up', async () => {
    await source.close();
    source = await open({ limits: { files: 1_000, bytes: 1_000_000 } });
    const large = blob('x'.repeat(300_000));
    const entries = Array.from({ length: 4 }, (_, i) => ['100644', `f${i}`, large] as const);
    await expect(take(commitOf(...entries))).rejects.toThrow(/its files have more than/);
    await using made = await take(commitOf(...entries.slice(0, 3)));
    expect(readdirSync(made.path)).toHaveLength(4);
  });
});

describe('a pipeline file', () => {
  it.each([
    ['a link to a file of the server', ['120000', 'slipway.yml', '/etc/passwd']],
    ['a link within the repository', ['120000', 'slipway.yml', 'other.yml']],
    ['a submodule', ['160000', 'slipway.yml', '']],
    ['a folder', ['40000', 'slipway.yml', '']],
  ] as const)('that is %s is not read', async (_what, [mode, name, text]) => {
    const sha = mode === '40000' ? tree(['100644', 'x', blob('x')]) : mode === '160000' ? 'c'.repeat(40) : blob(text);
    const commit = { sha: commitOf(['100644', 'other.yml', blob('jobs: {}')], [mode, name, sha]), ref };
    const repository = repositoryAt(remote.cloneUrl);
    const found = await source.read(repository, commit, [name, 'slipway.yml/x/../../other.yml', '/etc/passwd'], signal);
    expect([...found.values()]).toEqual([null, null, null]);
    expect(await source.list(repository, commit, signal)).not.toContain(name);
  });

  it('that is too large is refused before it is read', async () => {
    const commit = { sha: commitOf(['100644', 'slipway.yml', blob('x'.repeat(1_000_001))]), ref };
    await expect(source.read(repositoryAt(remote.cloneUrl), commit, ['slipway.yml'], signal)).rejects.toThrow(
      /slipway\.yml has 1000001 bytes/,
    );
  });
});

describe("git's surroundings", () => {
  it("hold nothing of the machine's or the server's: no configuration, no variables", async () => {
    const evil = join(home, 'evil.config');
    await writeFile(evil, '[alias]\n\tx = !touch ran\n[user]\n\tname = evil\n');
    const hostile = { GIT_CONFIG_GLOBAL: evil, GIT_DIR: '/nowhere', GIT_SSH_COMMAND: 'touch ran', GIT_ASKPASS: 'x' };
    const before = { ...process.env };
    Object.assign(process.env, hostile);
    try {
      const plain = createGit();
      const call = { purpose: 'look', cwd: remote.work, signal };
      const list = (await plain(['config', '--list', '--show-scope'], call)).stdout.toString();
      expect(list).not.toMatch(/^(system|global)/m);
      expect(list).toContain('command\tprotocol.allow=never');
      expect(list).toContain('command\tcore.hookspath=/dev/null');
      expect((await plain(['rev-parse', '--git-dir'], call)).stdout.toString().trim()).toBe('.git');
      for (const url of [
        'ext::sh -c touch% ran',
        `file://${remote.dir}`,
        remote.dir,
        'ssh://localhost/x',
        remote.cloneUrl,
      ]) {
        expect((await plain(['ls-remote', '--end-of-options', url], call)).stderr).toMatch(
          /transport '\w+' not allowed/,
        );
      }
      expect(existsSync(join(remote.work, 'ran'))).toBe(false);
    } finally {
      for (const name of Object.keys(hostile)) delete process.env[name];
      Object.assign(process.env, before);
    }
  });
});
