import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { GitHub } from '#dev/github/index.ts';
import { openStore } from '#src/adapters/store/store.ts';
import type { Store } from '#src/engine/store.ts';

/** What a pushed commit must have come to. */
export interface Expected {
  readonly repository: string;
  readonly sha: string;
  /** What became of each job by its key. */
  readonly jobs: Readonly<Record<string, ExpectedJob>>;
}

export interface ExpectedJob {
  readonly conclusion: string;
  /** Null: the job doesn't run. */
  readonly log: string | null;
  /** Logs of the attempts that failed before, each followed by one of the pipeline's own retries. */
  readonly before?: readonly string[];
}

/** Waits until every check run of these commits is completed, and there is one for each job. */
export async function settled(github: GitHub, expected: readonly Expected[], ms: number): Promise<void> {
  for (const { repository, sha, jobs } of expected) {
    await github.waitFor(
      `the check runs of ${repository} ${sha}`,
      () => {
        const all = github.checkRuns(repository, sha);
        return (
          Object.keys(jobs).every((key) => all.some((check) => check.name === key)) &&
          all.every((check) => check.status === 'completed')
        );
      },
      ms,
    );
  }
}

/**
 * Everything that is wrong with what became of the commits: in the database, in the logs, on GitHub. The server must be
 * stopped. Empty: every commit has its one run, every job ended as it must, every log is exact to the byte, and
 * GitHub shows each job once, completed.
 */
export async function mistakes(
  github: GitHub,
  where: { readonly home: string; readonly url?: string },
  expected: readonly Expected[],
): Promise<readonly string[]> {
  const found: string[] = [];
  const clock = { now: Date.now };
  const store = await openStore(
    where.url === undefined ? { path: join(where.home, 'slipway.db'), clock } : { url: where.url, clock },
  );
  try {
    const pending = await store.deliveries.pending(10);
    for (const { guid, event } of pending) {
      // The word of the last check run that was completed may have come while the server stopped.
      if (event !== 'check_run') found.push(`delivery ${guid} (${event}) was never handled`);
    }
    for (const commit of expected)
      found.push(...(await inStore(store, where.home, commit)), ...onGitHub(github, commit));
  } finally {
    await store.close();
  }
  for (const violation of github.violations) found.push(`GitHub refuses: ${JSON.stringify(violation)}`);
  return found;
}

async function inStore(store: Store, home: string, expected: Expected): Promise<readonly string[]> {
  const what = `${expected.repository} ${expected.sha.slice(0, 7)}`;
  const runs = (await store.runs.list({ repository: expected.repository, limit: 10_000 })).filter(
    (run) => run.trigger.sha === expected.sha,
  );
  if (runs.length !== 1) return [`${what} has ${runs.length} runs`];
  const view = await store.runs.view(runs[0]?.id ?? '');
  if (view === null) return [`${what} has no run`];
  const found: string[] = [];
  if (view.run.state !== 'completed') found.push(`${what}: the run is ${view.run.state}`);
  for (const [key, { conclusion, log, before = [] }] of Object.entries(expected.jobs)) {
    const job = view.jobs.find((each) => each.plan.key === key);
    if (job === undefined) {
      found.push(`${what} ${key}: there is no such job`);
      continue;
    }
    if (job.outcome?.kind !== conclusion) {
      found.push(`${what} ${key}: ${job.state} ${JSON.stringify(job.outcome)} instead of ${conclusion}`);
    }
    if (job.earlier.length !== before.length || job.earlier.some((it) => it.by !== 'retry')) {
      found.push(`${what} ${key}: ran again: ${JSON.stringify(job.earlier)}`);
    }
    for (const [index, wanted] of before.entries()) {
      const written = await readLog(home, `${job.id}-${index + 1}.log`);
      if (written !== wanted) found.push(`${what} ${key}, attempt ${index + 1}: ${difference(written, wanted)}`);
    }
    if (log === null) continue;
    const written = await readLog(home, `${job.id}-${job.attempt}.log`);
    if (written !== log) found.push(`${what} ${key}: ${difference(written, log)}`);
    const open = job.steps.filter((step) => step.state === 'running').length;
    if (open > 0) found.push(`${what} ${key}: ${open} steps never ended`);
  }
  return found;
}

function onGitHub(github: GitHub, expected: Expected): readonly string[] {
  const all = [...github.world.repo(expected.repository).runs.values()].filter((run) => run.headSha === expected.sha);
  const found: string[] = [];
  for (const [key, { conclusion }] of Object.entries(expected.jobs)) {
    const checks = all.filter((check) => check.name === key);
    const told = checks.map((check) => `${check.status} ${check.conclusion}`);
    if (told.length !== 1 || told[0] !== `completed ${conclusion}`) {
      found.push(
        `${expected.repository} ${expected.sha.slice(0, 7)} ${key}: GitHub shows ${told.join(', ') || 'nothing'}`,
      );
    }
  }
  return found;
}

async function readLog(home: string, name: string): Promise<string> {
  const logs = join(home, 'logs');
  for (const folder of await readdir(logs)) {
    const text = await readFile(join(logs, folder, name), 'utf8').catch(() => null);
    if (text !== null) return text;
  }
  return '';
}

function difference(written: string, wanted: string): string {
  let at = 0;
  while (at < written.length && written[at] === wanted[at]) at += 1;
  const around = (text: string) => JSON.stringify(text.slice(Math.max(0, at - 40), at + 40));
  return `the log has ${written.length} instead of ${wanted.length} characters; at ${at}: ${around(written)} instead of ${around(wanted)}`;
}
