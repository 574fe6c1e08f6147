import { refusedKey } from '#src/model/button.ts';
import type { Job, RunView } from '#src/model/run.ts';
import type { Place } from './place.ts';
import { checkRunOf } from './report/check-run.ts';
import { type DeployRow, rowOf } from './report/deploy-comment.ts';
import { isDeployment, notDeployed } from './report/deployed.ts';
import { deploymentOf } from './report/deployment.ts';
import { ended, generations } from './report/generations.ts';
import { runCheckOf, settledRunCheck } from './report/run-check.ts';
import { isOpen, isTold, tellCheck } from './tell-check.ts';
import { tellComment } from './tell-comment.ts';
import { endDeployment, tellDeployment } from './tell-deployment.ts';
import type { Telling } from './telling.ts';
import { runPrefix } from './understand.ts';

/** Something on GitHub that is kept up to date. */
export type What =
  | { readonly kind: 'check'; readonly job: Job | null }
  | { readonly kind: 'deployment'; readonly job: Job }
  | { readonly kind: 'comment'; readonly job: null };

/** What GitHub shows of a run: a check run for each job and maybe one for itself, its deployments, and where they are told of. */
export function itemsOf({ run, jobs }: RunView): readonly What[] {
  const deployments = jobs.filter((job) => isDeployment(job.plan.work));
  return [
    ...jobs.map((job) => ({ kind: 'check' as const, job })),
    ...deployments.map((job) => ({ kind: 'deployment' as const, job })),
    { kind: 'check', job: null },
    ...(run.pullRequest !== null && deployments.length > 0 ? [{ kind: 'comment' as const, job: null }] : []),
  ];
}

/** Tells GitHub how it stands with one of them. Throws Octokit's errors. */
export async function tellItem(telling: Telling, what: What, seen: RunView): Promise<void> {
  const { run } = seen;
  const place: Place = {
    client: await telling.github.client(run.repository.installationId),
    appId: telling.github.appId,
    repository: run.repository,
    sha: run.trigger.sha,
    told: telling.told,
    teller: telling.teller,
  };
  if (what.kind === 'comment') await tellCommentOf(telling, place, seen);
  else if (what.kind === 'deployment') await tellDeploymentOf(telling, place, seen, what.job);
  else if (what.job === null) await tellRunCheck(telling, place, seen);
  else await tellJob(telling, place, seen, what.job);
}

async function tellRunCheck(telling: Telling, place: Place, seen: RunView): Promise<void> {
  const key = `check/${seen.run.id}`;
  const extras = { detailsUrl: telling.detailsUrl(seen.run, null), externalId: `${runPrefix}${seen.run.id}` };
  const wanted = runCheckOf(seen, extras);
  if (wanted) await tellCheck(place, key, [], wanted);
  else if (seen.run.state !== 'pending' && (await isTold(telling.told, key)))
    await tellCheck(place, key, [], settledRunCheck(seen, extras));
}

async function tellJob(telling: Telling, place: Place, seen: RunView, job: Job): Promise<void> {
  const detailsUrl = telling.detailsUrl(seen.run, job);
  const firsts = generations(job);
  const keys = firsts.map((first) => `check/${job.id}/${first}`);
  for (const [index, first] of firsts.entries()) {
    const next = firsts[index + 1];
    const shown = next === undefined ? job : ended(job, first, next - 1);
    const key = keys[index] ?? '';
    if (shown === null || (next !== undefined && !(await isOpen(telling.told, key)))) continue;
    const ran = shown.startedAt !== null && shown.outcome?.kind !== 'skipped';
    const excerpt = ran ? await telling.excerpt(shown) : '';
    // What is recorded is that of the newest attempt.
    const deployed = shown === job && isDeployment(job.plan.work) ? await telling.deployed(seen.run, job) : notDeployed;
    const refused = shown === job ? await telling.told.get(refusedKey(job)) : null;
    const wanted = checkRunOf(seen, shown, { detailsUrl, excerpt, deployed, refused });
    await tellCheck(place, key, keys.slice(0, index), wanted);
  }
}

async function tellDeploymentOf(telling: Telling, place: Place, seen: RunView, job: Job): Promise<void> {
  const detailsUrl = telling.detailsUrl(seen.run, job);
  const key = deploymentKey(job);
  const wanted = deploymentOf(seen, job, await isTold(telling.told, key), await telling.deployed(seen.run, job));
  const { work } = job.plan;
  for (const first of isDeployment(work) ? generations(job).slice(0, -1) : []) {
    const payload = { run: seen.run.id, job: job.id, attempt: first };
    const environment = isDeployment(work) ? work.environment : '';
    await endDeployment(place, deploymentKey(job, first), { environment, payload }, detailsUrl);
  }
  if (wanted) await tellDeployment(place, key, wanted, detailsUrl);
}

async function tellCommentOf(telling: Telling, place: Place, seen: RunView): Promise<void> {
  const { run, jobs } = seen;
  if (run.pullRequest === null) return;
  await tellComment(place, telling.inTurn, run.pullRequest, async (isKnown) => {
    const rows: DeployRow[] = [];
    for (const job of jobs) {
      if (!isDeployment(job.plan.work)) continue;
      const deployed = await telling.deployed(run, job);
      const known = isKnown(job.id) || (await isTold(telling.told, deploymentKey(job)));
      const report = deploymentOf(seen, job, known, deployed);
      if (report) rows.push(rowOf(run, job, report, deployed, telling.detailsUrl(run, job)));
    }
    return rows;
  });
}

function deploymentKey(job: Job, first = generations(job).at(-1) ?? 1): string {
  return `deployment/${job.id}/${first}`;
}
