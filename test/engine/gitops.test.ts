import { describe, expect, it } from '@jest/globals';
import { createFakeGitOps, type FakeGitOps } from '#src/adapters/fake/gitops.ts';
import { LostJob } from '#src/engine/errors.ts';
import { deployByCommit } from '#src/engine/gitops.ts';
import type { Parts } from '#src/engine/parts.ts';
import type { GitOps } from '#src/engine/ports-deploy.ts';
import type { GitOpsProgress } from '#src/engine/store-deployments.ts';
import type { GitOpsSpec } from '#src/model/delivery.ts';
import { type Outcome, PlatformError } from '#src/model/outcome.ts';
import type { DeployWork } from '#src/model/plan.ts';
import type { Job, Run } from '#src/model/run.ts';
import { VirtualTime } from './virtual-time.ts';

const sha = 'b2'.repeat(20);
const digest = `sha256:${'d1'.repeat(32)}`;
const image = `ghcr.io/acme/shop@${digest}`;
const file = 'shop/api.yaml';
const text = 'spec:\n  image: old # by Slipway\n  tag: v1\n';
const done = text.replace('old', image);

const run = {
  id: 'run',
  repository: { id: 1, owner: 'acme', name: 'shop' },
  trigger: { kind: 'tag', sha, ref: 'refs/tags/v2', tag: 'v2', actor: 'ada', title: 'A [link](http://x) | `b`' },
  trust: null,
} as unknown as Run;
const job = { id: 'job', runId: 'run', attempt: 1, earlier: [], plan: { key: 'deploy production' } } as unknown as Job;
const work = { kind: 'deploy', environment: 'production' } as unknown as DeployWork;

const spec: GitOpsSpec = {
  repository: 'acme/deploy',
  branch: null,
  changes: [{ file, field: 'spec.image', image: 'image', value: 'reference' }],
  pullRequest: false,
};

const days = 7 * 24 * 60 * 60_000;

interface Given {
  readonly spec?: Partial<GitOpsSpec>;
  readonly files?: Readonly<Record<string, string>>;
  readonly images?: Readonly<Record<string, string>>;
  readonly tags?: readonly string[];
  readonly refuse?: string;
  readonly before?: (call: string, world: World) => void | Promise<void>;
  readonly after?: (call: string, world: World) => void | Promise<void>;
}

interface World {
  readonly time: VirtualTime;
  readonly gitops: FakeGitOps;
  readonly said: string[];
  /** What the check run showed. */
  readonly reports: string[];
  readonly cancel: AbortController;
  progress(): GitOpsProgress | null;
  /** A process that dies at its n-th call of anything, before it has its effect or after. */
  process(n?: number, when?: 'before' | 'after'): Promise<Outcome | 'died' | Error>;
}

/** What lives on when a process dies: the other repository, the database, and time. */
function openWorld(given: Given = {}): World {
  const time = new VirtualTime();
  let saved: GitOpsProgress | null = null;
  const said: string[] = [];
  const reports: string[] = [];
  const cancel = new AbortController();
  const gitops = createFakeGitOps({
    repository: 'acme/deploy',
    files: given.files ?? { [file]: text, 'README.md': 'x' },
    before: (call) => given.before?.(call, world),
    after: (call) => given.after?.(call, world),
  });
  const world: World = { time, gitops, said, reports, cancel, progress: () => saved, process };
  return world;

  async function process(n = Infinity, when: 'before' | 'after' = 'after'): Promise<Outcome | 'died' | Error> {
    let calls = 0;
    let dead = false;
    const died = Promise.withResolvers<'died'>();
    const never = (): Promise<never> => {
      dead = true;
      died.resolve('died');
      return new Promise<never>(() => {});
    };
    const mortal = <A extends readonly unknown[], T>(call: (...args: A) => Promise<T>) => {
      return async (...args: A): Promise<T> => {
        calls += 1;
        const at = calls;
        if (dead || (at === n && when === 'before')) return await never();
        const result = await call(...args).catch((error: unknown) => {
          if (dead) return never();
          throw error;
        });
        return dead || at === n ? await never() : result;
      };
    };
    const port: GitOps = {
      read: mortal(gitops.read.bind(gitops)),
      commit: mortal(gitops.commit.bind(gitops)),
      propose: mortal(gitops.propose.bind(gitops)),
      pullRequest: mortal(gitops.pullRequest.bind(gitops)),
      close: mortal(gitops.close.bind(gitops)),
    };
    const parts = {
      gitops: port,
      policy: { refuseGitOps: () => given.refuse ?? null },
      store: { images: { find: mortal(async () => ({ image, tags: given.tags ?? ['v2', sha] })) } },
      clock: { now: () => 1e12 + time.now() },
      log: { info() {}, warn() {}, error() {} },
    } as unknown as Parts;
    const outcome = deployByCommit({
      parts,
      run,
      job,
      work,
      spec: { ...spec, ...given.spec },
      images: given.images ?? { image },
      progress: saved,
      save: mortal(async (it: GitOpsProgress) => void (saved = it)),
      say: (message) => void said.push(message),
      report: (markdown) => void reports.push(markdown),
      signal: cancel.signal,
      leave: new AbortController().signal,
      time: { steady: () => time.now(), sleep: mortal((ms, signal: AbortSignal) => time.sleep(ms, signal)) },
      timeoutMs: given.spec?.pullRequest ? days : 600_000,
    }).catch((error: unknown) => error as Error);
    return await Promise.race([outcome, died.promise]);
  }
}

describe('a deployment by commit', () => {
  it('sets the image in one commit that says what it is, and leaves the rest', async () => {
    const world = openWorld();
    expect(await world.process()).toEqual({ kind: 'success' });
    expect(world.gitops.files.get(file)).toBe(done);
    expect(world.gitops.commits.map((it) => it.message)).toEqual([
      `Deploy acme/shop@b2b2b2b2b2b2 to production\n\nimage: ${image}\n\nSlipway-Deployment: job-1\nSlipway-Environment: production\nSlipway-Commit: acme/shop@${sha}\nSlipway-Asked-By: ada`,
    ]);
    expect(world.progress()).toMatchObject({ commit: 'c1', url: 'https://github.example/acme/deploy/commit/c1' });
    expect(world.said.at(-1)).toContain('https://github.example/acme/deploy/commit/c1');
    expect(world.reports.at(-1)).toContain(
      'Deployed by [acme/deploy@c1](https://github.example/acme/deploy/commit/c1)',
    );
  });

  it('changes several fields of several files at once', async () => {
    const changes = [
      { file, field: 'spec.image', image: 'image', value: 'digest' },
      { file, field: 'spec.tag', image: 'image', value: 'tag' },
      { file: 'b.json', field: 'tag', image: 'image', value: 'tag' },
    ] as const;
    const world = openWorld({ spec: { changes }, files: { [file]: text, 'b.json': '{"tag": "v1"}' } });
    expect(await world.process()).toEqual({ kind: 'success' });
    expect(world.gitops.commits).toHaveLength(1);
    expect(world.gitops.files.get(file)).toBe(text.replace('old', digest).replace('v1', 'v2'));
    expect(world.gitops.files.get('b.json')).toBe('{"tag": "v2"}');
  });

  it('takes the tag of the commit where no tag was named', async () => {
    const changes = [{ file, field: 'spec.tag', image: 'image', value: 'tag' }] as const;
    const world = openWorld({ spec: { changes }, tags: ['main', sha] });
    await world.process();
    expect(world.gitops.files.get(file)).toContain(`tag: ${sha}`);
  });

  it('does nothing where the image is set already', async () => {
    const world = openWorld({ files: { [file]: done } });
    expect(await world.process()).toEqual({ kind: 'success' });
    expect(world.gitops.commits).toEqual([]);
    expect(world.said.at(-1)).toMatch(/already: nothing was to be changed/);
  });

  it('reads again where somebody else committed meanwhile, and keeps that', async () => {
    let pushes = 0;
    const world = openWorld({
      before(call, { gitops }) {
        if (call === 'commit' && pushes++ < 3) gitops.push(file, text.replace('v1', `v${pushes + 1}`));
      },
    });
    expect(await world.process()).toEqual({ kind: 'success' });
    expect(world.gitops.files.get(file)).toBe(done.replace('v1', 'v4'));
  });

  it('makes no second commit where the answer to the first was lost', async () => {
    let lost = 0;
    const world = openWorld({
      after(call) {
        if (call === 'commit' && lost++ === 0) throw new PlatformError('GitHub gave no answer.');
      },
    });
    expect(await world.process()).toEqual({ kind: 'success' });
    expect(world.gitops.commits).toHaveLength(1);
  });

  it.each<[string, Given, RegExp]>([
    ['the operator does not allow', { refuse: 'Not there.' }, /^Not there\.$/],
    ['has no image', { images: {} }, /No image is recorded for the job "image" and commit b2b2b2b2b2b2/],
    ['has no such file', { files: {} }, /There is no file shop\/api\.yaml in acme\/deploy \(main\)/],
    [
      'has no such field',
      { files: { [file]: 'spec: {imag: x}' } },
      /acme\/deploy \(main\): shop\/api\.yaml: there is no "image" in spec\. Did you mean "imag"/,
    ],
    [
      'goes to a repository without the App',
      { spec: { repository: 'acme/other' } },
      /App is not installed on acme\/other/,
    ],
    [
      'needs a tag that nobody knows',
      { spec: { changes: [{ file, field: 'spec.tag', image: 'image', value: 'tag' }] }, tags: [] },
      /has no tag that Slipway knows/,
    ],
  ])('that %s fails and says why', async (_name, given, reason) => {
    const world = openWorld(given);
    expect(await world.process()).toEqual({ kind: 'failure', reason: expect.stringMatching(reason) });
    expect(world.gitops.commits).toEqual([]);
  });

  it('tries a GitHub that fails until the time is over, and is then the platform’s failure', async () => {
    const world = openWorld({
      before() {
        throw new PlatformError('GitHub is away.');
      },
    });
    expect(await world.process()).toMatchObject({ kind: 'broken', reason: expect.stringContaining('GitHub is away.') });
    expect(world.time.now()).toBeGreaterThanOrEqual(600_000);
    expect(world.time.now()).toBeLessThan(700_000);
  });

  it('gives up at once where trying again has no use', async () => {
    const world = openWorld({
      before() {
        throw new PlatformError('The App may not write.', { retry: 'never' });
      },
    });
    expect(await world.process()).toMatchObject({ kind: 'broken', retry: 'never' });
    expect(world.time.now()).toBe(0);
  });

  it('leaves everything as it is when the job is lost', async () => {
    const world = openWorld();
    const lost = { ...world };
    expect(lost.progress()).toBeNull();
    const outcome = deployByCommit({
      parts: {
        gitops: world.gitops,
        policy: { refuseGitOps: () => null },
        clock: { now: () => 1 },
      } as unknown as Parts,
      run,
      job,
      work,
      spec,
      images: { image },
      progress: null,
      save: () => Promise.reject(new LostJob()),
      say: () => {},
      signal: new AbortController().signal,
      leave: new AbortController().signal,
      time: { steady: () => 0, sleep: async () => {} },
      timeoutMs: 1000,
    });
    await expect(outcome).rejects.toBeInstanceOf(LostJob);
    expect(world.gitops.commits).toEqual([]);
  });
});

describe('a deployment by pull request', () => {
  const pullRequest = { pullRequest: true };

  it('waits for the merge', async () => {
    const world = openWorld({ spec: pullRequest });
    void world.time.sleep(3_600_000).then(() => world.gitops.merge(1));
    expect(await world.process()).toEqual({ kind: 'success' });
    expect(world.time.now()).toBeGreaterThanOrEqual(3_600_000);
    expect(world.gitops.files.get(file)).toBe(done);
    expect(world.gitops.pulls[0]?.from).toBe('slipway/production-b2b2b2b2b2b2');
    expect(world.progress()).toMatchObject({ pullRequest: 1, merged: true });
    expect(world.said).toContain('waiting for the merge of https://github.example/acme/deploy/pull/1');
    expect(world.reports.at(-1)).toMatch(
      /^Deployed by merging \[acme\/deploy\\?#1\]\(https:\/\/github\.example\/acme\/deploy\/pull\/1\)\n\n\| File/,
    );
  });

  it('shows titles and names harmlessly', async () => {
    const world = openWorld({ spec: pullRequest });
    void world.time.sleep(1000).then(() => world.gitops.merge(1));
    await world.process();
    const body = world.gitops.pulls[0]?.body ?? '';
    expect(body).toContain("| Title | `A [link](http://x) ¦ 'b'` |");
    expect(body).toContain('asked for by `ada`');
  });

  it('fails if it is closed, and says so', async () => {
    const world = openWorld({ spec: pullRequest });
    void world.time.sleep(60_000).then(() => world.gitops.shut(1));
    expect(await world.process()).toMatchObject({
      kind: 'failure',
      reason: expect.stringContaining('closed without a merge'),
    });
  });

  it('is closed after 7 days', async () => {
    const world = openWorld({ spec: pullRequest });
    expect(await world.process()).toMatchObject({
      kind: 'timed_out',
      reason: expect.stringContaining('within 7 days'),
    });
    expect(world.time.now()).toBe(days);
    expect(world.gitops.pulls[0]).toMatchObject({ state: 'closed', comments: [expect.stringContaining('7 days')] });
  });

  it('is closed when somebody cancels', async () => {
    const world = openWorld({ spec: pullRequest });
    void world.time.sleep(60_000).then(() => world.cancel.abort(new Error('Cancelled by @ada.')));
    expect(await world.process()).toEqual({
      kind: 'cancelled',
      reason: 'Cancelled by @ada. acme/deploy#1 was closed.',
    });
    expect(world.gitops.pulls[0]?.state).toBe('closed');
  });

  it('counts as deployed if it was merged while somebody cancelled', async () => {
    const world = openWorld({
      spec: pullRequest,
      before(call, { gitops }) {
        if (call === 'close') gitops.merge(1);
      },
    });
    void world.time.sleep(60_000).then(() => world.cancel.abort(new Error('Cancelled by @ada.')));
    expect(await world.process()).toEqual({ kind: 'success' });
  });

  it('says loudly if it can not be closed', async () => {
    const world = openWorld({
      spec: pullRequest,
      before(call) {
        if (call === 'close') throw new PlatformError('GitHub is away.');
      },
    });
    void world.time.sleep(60_000).then(() => world.cancel.abort(new Error('Cancelled by @ada.')));
    expect(await world.process()).toMatchObject({ reason: expect.stringContaining('CLOSING acme/deploy#1 FAILED') });
  });

  it('outlasts a GitHub that is away for hours', async () => {
    const world = openWorld({
      spec: pullRequest,
      before(call, { time }) {
        if (call === 'pullRequest' && time.now() < 7_200_000) throw new PlatformError('GitHub is away.');
      },
    });
    void world.time.sleep(3_600_000).then(() => world.gitops.merge(1));
    expect(await world.process()).toEqual({ kind: 'success' });
  });
});

describe('a process that dies at any moment', () => {
  it.each<[string, Given, ((world: World) => void) | null]>([
    ['a commit', {}, null],
    ['nothing to do', { files: { [file]: done } }, null],
    ['a pull request that is merged', { spec: { pullRequest: true } }, ({ gitops }) => gitops.merge(1)],
    ['a pull request that is closed', { spec: { pullRequest: true } }, ({ gitops }) => gitops.shut(1)],
  ])('changes nothing about %s', async (_name, given, happens) => {
    const start = () => {
      const world = openWorld(given);
      if (happens) void world.time.sleep(40_000).then(() => happens(world));
      return world;
    };
    const whole = start();
    const expected = await whole.process();
    let deaths = 0;
    for (const when of ['before', 'after'] as const) {
      for (let n = 1; ; n += 1) {
        const world = start();
        if ((await world.process(n, when)) !== 'died') break;
        deaths += 1;
        const outcome = await world.process();
        expect({ n, when, outcome }).toEqual({ n, when, outcome: expected });
        expect(world.gitops.commits.map((it) => it.message)).toEqual(whole.gitops.commits.map((it) => it.message));
        expect(world.gitops.pulls).toHaveLength(whole.gitops.pulls.length);
        expect(world.gitops.files).toEqual(whole.gitops.files);
      }
    }
    expect(deaths).toBeGreaterThan(5);
  });
});
