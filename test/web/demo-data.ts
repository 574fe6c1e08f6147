import type { PlannedJob } from '#src/model/plan.ts';
import type { Job, Step } from '#src/model/run.ts';
import { planned, repositoryNamed, owned } from '#test/contracts/store-fixtures.ts';
import type { Site } from './site.ts';

/** Runs that look like real ones. Times count back from now. */
const acme = repositoryNamed('acme/shop', 4_294_967_301);

const esc = '\x1b';
const steps = ['npm ci', 'npm run lint', 'npm test'];

function scriptJob(key: string, needs: readonly string[] = [], names = steps): PlannedJob {
  const job = planned(key);
  if (job.work.kind !== 'script') throw new Error('not a script');
  return { ...job, needs, work: { ...job.work, steps: names.map((name) => ({ name, script: name })) } };
}

/** A pull request with a failing job, a running one, a finished one, and some that wait. */
export async function seedPullRequest(site: Site): Promise<{ runId: string; jobs: Record<string, Job> }> {
  const { runs } = site.store;
  const now = Date.now();
  const { run } = await runs.create({
    repository: acme,
    trigger: {
      kind: 'pull_request',
      number: 42,
      sha: 'c0ffee1234567890c0ffee1234567890c0ffee12',
      ref: 'refs/pull/42/head',
      branch: 'discounts',
      base: 'main',
      fork: false,
      actor: 'ada',
      title: 'Round discounts to whole cents & show them <early>',
    },
    pullRequest: 42,
    at: now - 95_000,
  });
  const image = planned('image');
  const deploy = planned('deploy staging', 'deploy');
  await runs.plan(run.id, {
    jobs: [
      scriptJob('lint', [], ['npm ci', 'npm run lint']),
      scriptJob('test (node 22)'),
      scriptJob('test (node 24)'),
      { ...image, needs: ['lint', 'test (node 22)', 'test (node 24)'] },
      { ...deploy, needs: ['image'], skip: 'Only pushes to main are deployed to staging.' },
    ],
    diagnostics: [
      {
        severity: 'warning',
        code: 'unpinned-image',
        message: 'The image node has no tag, so its newest version is used.',
        hint: 'Write node:24-slim, say.',
        at: { file: 'slipway.yml', line: 14, column: 12 },
      },
    ],
    concurrency: null,
    pipelineFile: 'slipway.yml',
    at: now - 94_000,
  });
  const view = await runs.view(run.id);
  const jobs: Record<string, Job> = {};
  for (const job of view?.jobs ?? []) jobs[job.plan.key] = job;
  await finishLint(site, jobs['lint']?.id ?? '', now);
  await failTests(site, jobs['test (node 22)']?.id ?? '', now);
  await startTests(site, jobs['test (node 24)']?.id ?? '', now);
  const skipped = { kind: 'skipped', reason: 'Only pushes to main are deployed to staging.' } as const;
  await runs.drop(jobs['deploy staging']?.id ?? '', skipped, now);
  return { runId: run.id, jobs };
}

async function finishLint(site: Site, jobId: string, now: number): Promise<void> {
  const parts = [
    'Pulling node:24-slim\n',
    'added 312 packages in 4s\n',
    `${esc}[32m✓${esc}[0m no problems in 88 files\n`,
  ];
  await writeJob(site, jobId, parts, now - 90_000, 9_000, [0, 0]);
  await site.store.runs.complete(owned(jobId), { outcome: { kind: 'success' }, at: now - 72_000 });
}

async function failTests(site: Site, jobId: string, now: number): Promise<void> {
  const parts = [
    'Image node:22-slim is here already.\n',
    'added 312 packages in 4s\n',
    `${esc}[32m✓${esc}[0m no problems in 88 files\n`,
    testLog,
  ];
  await writeJob(site, jobId, parts, now - 90_000, 12_000, [0, 0, 1]);
  await site.store.runs.complete(owned(jobId), {
    outcome: { kind: 'failure', reason: 'Step 3 (npm test) failed with exit code 1.' },
    annotations: [
      {
        path: 'src/discount.ts',
        startLine: 18,
        endLine: 18,
        level: 'failure',
        message: "Type 'string' is not assignable to type 'number'.",
      },
      { path: 'src/cart.ts', startLine: 4, endLine: 4, level: 'warning', message: "'total' is never read." },
    ],
    tests: { total: 41, failed: 2, skipped: 1, failures: ['discount › rounds half to even', 'cart › shows 0,99 €'] },
    at: now - 54_000,
  });
}

async function startTests(site: Site, jobId: string, now: number): Promise<void> {
  const parts = ['Image node:24-slim is here already.\n', 'added 312 packages in 3s\n', ''];
  await writeJob(site, jobId, parts, now - 30_000, 11_000, [0, null]);
}

/** The log's parts are: before the steps, then one for each step. An exit code of null: still running. */
async function writeJob(
  site: Site,
  jobId: string,
  parts: readonly string[],
  startedAt: number,
  perStep: number,
  exitCodes: readonly (number | null)[],
): Promise<void> {
  const { runs } = site.store;
  await runs.queue(jobId, startedAt - 500);
  const job = await runs.claim('worker', ['script'], startedAt);
  if (job?.id !== jobId || job.plan.work.kind !== 'script') throw new Error('claimed another job');
  const writer = await site.logs.open({ jobId, attempt: 1 });
  writer.write(Buffer.from(parts[0] ?? ''));
  let offset = Buffer.byteLength(parts[0] ?? '');
  const list: Step[] = job.plan.work.steps.map(({ name }, index) => {
    const text = parts[index + 1] ?? '';
    const begun = index < exitCodes.length;
    const exitCode = exitCodes[index] ?? null;
    const logStart = offset;
    writer.write(Buffer.from(text));
    offset += Buffer.byteLength(text);
    return {
      index,
      name,
      state: begun ? (exitCode === null ? 'running' : 'completed') : 'pending',
      exitCode,
      startedAt: begun ? startedAt + index * perStep : null,
      finishedAt: exitCode === null ? null : startedAt + (index + 1) * perStep,
      logStart: begun ? logStart : null,
      logEnd: exitCode === null ? null : offset,
    };
  });
  await runs.progress(owned(jobId), { steps: list });
  await writer.close();
}

const testLog = `
> shop@1.4.0 test
> vitest run

 ${esc}[1;46m RUN ${esc}[0m ${esc}[36mv3.2.4 ${esc}[2m/workspace${esc}[0m

 ${esc}[32m✓${esc}[39m test/price.test.ts ${esc}[2m(18 tests)${esc}[22m 24ms
 ${esc}[32m✓${esc}[39m test/stock.test.ts ${esc}[2m(12 tests | 1 skipped)${esc}[22m 31ms
 ${esc}[31m❯${esc}[39m test/discount.test.ts ${esc}[2m(11 tests | ${esc}[22m${esc}[31m2 failed${esc}[39m${esc}[2m)${esc}[22m 52ms
   ${esc}[31m×${esc}[39m discount › rounds half to even ${esc}[33m12${esc}[39mms
   ${esc}[31m×${esc}[39m cart › shows 0,99 € ${esc}[33m3${esc}[39mms

${esc}[1;41m FAIL ${esc}[0m test/discount.test.ts > discount > rounds half to even
${esc}[1;31mAssertionError${esc}[0m: expected 1.005 to be 1 // Object.is equality

    ${esc}[32m- Expected${esc}[39m   ${esc}[32m"1"${esc}[39m
    ${esc}[31m+ Received${esc}[39m   ${esc}[31m"1.005"${esc}[39m

${esc}[38;5;245m ❯ test/discount.test.ts:31:24${esc}[0m
    29|   it('rounds half to even', () => {
    30|     const cart = { items: [{ name: "<tea>", cents: 0.5 }] };
    31|     expect(discount(cart)).toBe(1);
      |                            ${esc}[31m^${esc}[39m

 ${esc}[2mTest Files${esc}[22m  ${esc}[1;31m1 failed${esc}[0m ${esc}[2m|${esc}[22m ${esc}[1;32m2 passed${esc}[0m (3)
 ${esc}[2m     Tests${esc}[22m  ${esc}[1;31m2 failed${esc}[0m ${esc}[2m|${esc}[22m ${esc}[1;32m38 passed${esc}[0m ${esc}[2m|${esc}[22m ${esc}[33m1 skipped${esc}[0m (41)
`;

/** Runs of several kinds and ends, for the home page and badges. */
export async function seedHistory(site: Site): Promise<void> {
  const { runs } = site.store;
  const titles = ['Speed up checkout', 'Fix the tax of gift cards', 'Größen in Zoll anzeigen', 'Update dependencies'];
  const outcomes = [
    { kind: 'success' },
    { kind: 'failure', reason: 'test' },
    { kind: 'cancelled', reason: 'A newer commit was pushed.' },
    { kind: 'broken', reason: 'The Docker engine could not be reached.' },
  ] as const;
  for (const [i, title] of titles.entries()) {
    const at = Date.now() - (titles.length - i) * 3_600_000;
    const sha = `${i + 1}`.repeat(40);
    const ref = { sha, actor: i % 2 === 0 ? 'ada' : 'linus', title };
    const { run } = await runs.create({
      repository: acme,
      trigger:
        i === 0
          ? { kind: 'tag', tag: 'v1.4.0', ref: 'refs/tags/v1.4.0', ...ref }
          : { kind: 'push', branch: 'main', ref: 'refs/heads/main', ...ref },
      pullRequest: null,
      at,
    });
    await runs.plan(run.id, { jobs: [], diagnostics: [], concurrency: null, pipelineFile: 'slipway.yml', at });
    await runs.finish(run.id, outcomes[i] ?? outcomes[0], [], at + 75_000);
  }
}
