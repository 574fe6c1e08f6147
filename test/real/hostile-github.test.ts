import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import { git } from '#dev/github/git.ts';
import { hostile, randomOf } from '#dev/github/hostile.ts';
import { type GitHub, startGitHub } from '#dev/github/index.ts';
import type { CheckRun, Deployment } from '#dev/github/world.ts';
import { createForge } from '#src/adapters/github/forge.ts';
import { openGitHub } from '#src/adapters/github/github.ts';
import { createReporter, type GitHubReporter } from '#src/adapters/github/reporter.ts';
import { openStore } from '#src/adapters/store/store.ts';
import { deployedOf } from '#src/engine/deploy/deployed.ts';
import type { Repository } from '#src/model/repository.ts';
import { silent } from '#test/adapters/github/support.ts';
import { conclusions, type Expected, live, ScriptedRuns, scriptedJobs } from './hostile-script.ts';

/** GitHub is hostile for about as long as the runs take; then it has this long to be told the truth. */
const truthMs = 20_000;
const owners = ['acme', 'globex', 'initech'];

it.each([3])(
  'a hostile GitHub (seed %i): what it shows in the end is right, and nothing twice',
  async (seed) => {
    await using town = await hostileTown(seed);
    const { hub, repositories, reporter, runs, random, forge } = town;
    const expected: Expected[] = [];
    const comments: { readonly repository: Repository; readonly body: string }[] = [];
    const work: Promise<void>[] = [];
    for (const repository of repositories) {
      const sha = (
        await git(hub.world.repo(`${repository.owner}/${repository.name}`).path, 'rev-parse', 'main')
      ).trim();
      for (let number = 1; number <= 2; number += 1) {
        const view = await town.script.create(repository, sha, `branch-${number}`, scriptedJobs(`staging-${number}`));
        const runId = view.run.id;
        for (const job of view.jobs) {
          const deploys = job.plan.key === 'ship';
          const wanted = { repository: `${repository.owner}/shop`, runId, jobId: job.id, deploys, shown: [] };
          expected.push(wanted);
          work.push(live(town.script, random, wanted, () => shown(hub, wanted)));
        }
        const body = `Answer ${number}`;
        comments.push({ repository, body });
        work.push(answer(() => forge.comment(repository, 1, body, `${runId} comment`)));
      }
    }
    await Promise.all([...work, town.moveLeadership(3)]);
    town.end();
    await reporter().resume();
    await until(async () => (await runs.untold(1)).length === 0, truthMs);

    expect(expected.map((it) => ({ job: it.jobId, shows: checksOf(hub, it) }))).toEqual(
      expected.map((it) => ({
        job: it.jobId,
        shows: it.shown.map(({ outcome, messages }) => ({
          status: 'completed',
          conclusion: conclusions[outcome.kind],
          messages,
        })),
      })),
    );
    for (const it of expected.filter(({ deploys }) => deploys)) {
      const made = hub.deployments(it.repository).filter((each) => payloadOf(each).job === it.jobId);
      expect(made.map((each) => payloadOf(each).attempt)).toEqual(it.shown.map(({ attempt }) => attempt));
      for (const [index, each] of made.entries()) {
        const kind = it.shown[index]?.outcome.kind ?? 'success';
        const end = { success: 'success', failure: 'failure' }[kind as string] ?? 'error';
        const allowed = index < made.length - 1 ? [end, 'inactive'] : [end];
        expect(allowed).toContain(each.statuses.at(-1)?.state);
      }
    }
    for (const { owner } of repositories) {
      const told = hub.comments(`${owner}/shop`, 1).filter(({ body }) => body.endsWith('<!-- slipway deployments -->'));
      expect(told.map(({ body }) => body.match(/^\| staging-.*?\|.*?\|/gm))).toEqual([
        rowsOf(expected, `${owner}/shop`),
      ]);
    }
    for (const { repository, body } of comments) {
      const all = hub.comments(`${repository.owner}/shop`, 1).map((each) => each.body.split('\n')[0]);
      expect(all.filter((each) => each === body)).toEqual([body]);
    }
    expect(hub.violations).toEqual([]);
  },
  120_000,
);

function checksOf(hub: GitHub, { repository, jobId }: Expected) {
  return runsOf(hub, repository, jobId).map(({ status, conclusion, annotations }) => ({
    status,
    conclusion,
    messages: annotations.map((each) => each['message'] as string),
  }));
}

function runsOf(hub: GitHub, repository: string, jobId: string): CheckRun[] {
  return [...hub.world.repo(repository).runs.values()].filter(({ externalId }) => externalId === jobId);
}

/** The rows of the comment on the pull request, as far as they say where and what became of it. */
function rowsOf(expected: readonly Expected[], repository: string): readonly string[] {
  const words = { success: '✅ Deployed', failure: '❌ Failed' };
  return expected
    .filter((it) => it.repository === repository && it.deploys)
    .map(({ shown: ends }, index) => {
      const kind = ends.at(-1)?.outcome.kind as string;
      return `| staging-${index + 1} | ${words[kind as keyof typeof words] ?? '❌ Ended'} |`;
    });
}

function payloadOf({ payload }: Deployment): { readonly job: string; readonly attempt: number } {
  return payload as { readonly job: string; readonly attempt: number };
}

/** Until GitHub shows the end of the job's newest check run, and of its deployment: then a person may ask for it again. */
async function shown(hub: GitHub, { repository, jobId, deploys, shown: wanted }: Expected): Promise<void> {
  await until(async () => {
    const checks = runsOf(hub, repository, jobId);
    const made = hub.deployments(repository).filter((each) => payloadOf(each).job === jobId);
    const ends = made.filter(
      (each) => !['pending', 'queued', 'in_progress', undefined].includes(each.statuses.at(-1)?.state),
    );
    const last = checks.at(-1);
    const over = last?.status === 'completed' && last.conclusion !== 'action_required';
    const whole = over && last.annotations.length === wanted.at(-1)?.messages.length;
    return whole && checks.length === wanted.length && (!deploys || ends.length === wanted.length);
  }, 60_000);
}

async function until(condition: () => Promise<boolean>, ms: number): Promise<void> {
  const deadline = performance.now() + ms;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error('What was waited for did not happen.');
    await sleep(10);
  }
}

/** As the dispatcher does: again and again until it succeeds. */
async function answer(comment: () => Promise<void>): Promise<void> {
  for (let tries = 0; tries < 60; tries += 1) {
    try {
      return await comment();
    } catch {
      await sleep(50);
    }
  }
  throw new Error('A comment could not be made.');
}

/** A hostile GitHub with three repositories, and what tells it. */
async function hostileTown(seed: number) {
  const home = await mkdtemp(join(tmpdir(), 'hostile-'));
  const hub = await startGitHub({ home });
  const random = randomOf(seed * 7_919);
  const app = hub.registerApp({ webhook: { url: 'http://127.0.0.1:9/', secret: 'secret' } });
  app.hook.url = null;
  const repositories: Repository[] = [];
  for (const owner of owners) {
    const repo = await hub.people.createRepository({ owner, name: 'shop', private: true });
    const installation = hub.install(app, owner);
    const identity = ['-c', 'user.name=Ada', '-c', 'user.email=ada@example.com'];
    const tree = (await git(repo.path, 'hash-object', '-t', 'tree', '-w', '/dev/null')).trim();
    const sha = (await git(repo.path, ...identity, 'commit-tree', tree, '-m', 'Begin')).trim();
    const change = (await git(repo.path, ...identity, 'commit-tree', tree, '-p', sha, '-m', 'Go on')).trim();
    await git(repo.path, 'update-ref', 'refs/heads/main', sha);
    await git(repo.path, 'update-ref', 'refs/heads/change', change);
    await hub.people.openPullRequest(repo.fullName, { title: 'A change', head: 'change' });
    const { id, name, defaultBranch } = repo;
    const cloneUrl = `${hub.url}/${owner}/shop.git`;
    repositories.push({ id, owner, name, defaultBranch, private: true, cloneUrl, installationId: installation.id });
  }
  const lateMs = 150;
  const settleMs = 600;
  const hostility = hostile(hub.world, { seed, rate: 0.3, lateMs });
  hub.faults = hostility.faults;
  const github = await openGitHub({
    appId: app.id,
    privateKey: app.privateKey,
    webhookSecret: 'secret',
    host: hub.host,
    protocol: 'http',
    logger: silent,
    requestTimeoutMs: 1_000,
    limits: {
      concurrency: 20,
      pointsPerMinute: 1e6,
      contentPerMinute: 1e6,
      contentPerHour: 1e6,
      reservePerMinute: 0,
      reservePerHour: 0,
      signsPerMinute: 0,
    },
  });
  const store = await openStore({ path: join(home, 'slipway.sqlite'), clock: { now: Date.now } });
  // Some words are lost on their way to the process that tells.
  const script = new ScriptedRuns(store.runs, (id) => (random() < 0.1 ? undefined : leader.report(id)));
  const open = (): GitHubReporter =>
    createReporter({
      github,
      runs: store.runs,
      told: store.told,
      detailsUrl: (run, job) => `https://ci.example/runs/${run.id}/${job?.id ?? ''}`,
      excerpt: async (job) => `the log of ${job.id}`,
      deployed: (run, job) => deployedOf(store, run, job),
      logger: silent,
      refreshMs: 100,
      retryMs: 20,
      lookMs: 300,
      settleMs,
      closeMs: 100,
    });
  let leader = open();
  void leader.resume();

  return {
    hub,
    repositories,
    runs: store.runs,
    script,
    random,
    forge: createForge(github, settleMs),
    reporter: () => leader,
    seen: hostility.seen,
    end: () => hostility.end(),
    /** Another process leads, several times. */
    async moveLeadership(times: number) {
      for (let time = 0; time < times; time += 1) {
        await sleep(700 + random() * 600);
        await leader.close();
        leader = open();
        void leader.resume();
      }
    },
    async [Symbol.asyncDispose]() {
      await leader.close();
      await store.close();
      await hub.close();
      await rm(home, { recursive: true, force: true });
    },
  };
}
