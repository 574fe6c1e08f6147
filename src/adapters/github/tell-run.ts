import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { ToldStore } from '#src/engine/store.ts';
import { fullName } from '#src/model/repository.ts';
import type { Job, Run, RunView } from '#src/model/run.ts';
import { describe, faultOf } from './faults.ts';
import type { GitHub } from './github.ts';
import type { Place, Teller } from './place.ts';
import { checkRunOf } from './report/check-run.ts';
import { deploymentOf } from './report/deployment.ts';
import { ended, generations } from './report/generations.ts';
import { runCheckOf, settledRunCheck } from './report/run-check.ts';
import { isOpen, isTold, tellCheck } from './tell-check.ts';
import { endDeployment, tellDeployment } from './tell-deployment.ts';
import { runPrefix } from './understand.ts';

/** What the tellings of all runs share. */
export interface Telling {
  readonly github: Pick<GitHub, 'appId' | 'client'>;
  readonly told: ToldStore;
  readonly detailsUrl: (run: Run, job: Job | null) => string;
  readonly excerpt: (job: Job) => Promise<string>;
  readonly logger: Logger;
  readonly refreshMs: number;
  readonly retryMs: number;
  readonly teller: Teller;
  /** True while nothing waits until it is due. */
  readonly hurry: () => boolean;
  /** Whether this wasn't said before, today. */
  readonly isNews: (what: string) => boolean;
}

/** One thing on GitHub that is kept up to date: a job's check run, its deployment, or the run's own check run. */
interface Item {
  readonly kind: 'check' | 'deployment';
  readonly key: string;
  job: Job | null;
  /** The run's version that was told (or refused) last. */
  version: number;
  /** There is something to tell, maybe not yet. */
  dirty: boolean;
  working: boolean;
  /** State that was told last, and when (by this process's watch). */
  state: string;
  toldAt: number;
  failures: number;
  /** GitHub refused it for good: only a new state is worth another try. */
  refused: boolean;
}

/** How it stands with a run of which nothing is being told right now. */
export interface Standing {
  /** All of this version arrived, or was refused for good; null if something is still to be told. */
  readonly told: number | null;
  /** Milliseconds after which it is worth being told again (a log grows, news came too soon), or null. */
  readonly dueIn: number | null;
}

/** The telling of one run. Each of its items is told by itself, so one that fails or waits holds up no other. */
export interface RunTelling {
  /** Tells what differs from what was told before. `quiet` is called when nothing is under way any more. */
  tell(view: RunView): void;
  standing(): Standing;
}

const maxRetryMs = 5 * 60_000;

/** After so many failures in a row an item makes room for others; the run is taken up again later. */
const enough = 8;

export function createRunTelling(telling: Telling, quiet: () => void): RunTelling {
  const { refreshMs, retryMs, teller } = telling;
  const items = new Map<string, Item>();
  const watch = (): number => performance.now();
  let view: RunView | null = null;
  let version = -1;
  let growing = false;
  let working = 0;
  let gaveUp = false;

  return {
    tell(given) {
      view = given;
      version = given.run.version;
      growing = given.jobs.some((job) => job.state === 'running');
      gaveUp = false;
      working += 1;
      for (const job of [...given.jobs, null]) {
        take('check', job);
        if (job?.plan.work.kind === 'deploy') take('deployment', job);
      }
      working -= 1;
      settle();
    },
    standing() {
      if (gaveUp) return { told: null, dueIn: null };
      const open = [...items.values()].filter((item) => item.dirty);
      const first = Math.min(...open.map((item) => item.toldAt + refreshMs - watch()));
      const dueIn = open.length > 0 ? Math.max(0, first) : growing ? refreshMs : null;
      return { told: open.some((item) => item.version < version) ? null : version, dueIn };
    },
  };

  function take(kind: Item['kind'], job: Job | null): void {
    const key = job === null ? '' : `${kind}/${job.id}`;
    let item = items.get(key);
    if (!item) {
      item = {
        kind,
        key,
        job,
        version: -1,
        dirty: true,
        working: false,
        state: '',
        toldAt: 0,
        failures: 0,
        refused: false,
      };
      items.set(key, item);
    }
    item.job = job;
    // A log grows without a new version.
    if (item.version < version || job?.state === 'running') item.dirty = true;
    if (!item.working) void work(item);
  }

  /** Tells the item until nothing new is left to tell. */
  async function work(item: Item): Promise<void> {
    item.working = true;
    working += 1;
    while (item.dirty && !teller.until.aborted) {
      const seen = view;
      if (seen === null) break;
      const state = stateOf(item.job, seen);
      const same = state === item.state;
      item.dirty = false;
      if (same && item.refused) {
        item.version = seen.run.version;
        break;
      }
      if (same && !telling.hurry() && item.toldAt + refreshMs > watch()) {
        item.dirty = true;
        break;
      }
      try {
        await tellItem(item, seen);
        Object.assign(item, { state, version: seen.run.version, toldAt: watch(), failures: 0, refused: false });
      } catch (error) {
        if (!(await tryAgain(item, state, seen.run, error))) break;
      }
    }
    item.working = false;
    working -= 1;
    settle();
  }

  /** What was read is let go: runs that wait for their time are many. */
  function settle(): void {
    if (working > 0 || view === null) return;
    view = null;
    quiet();
  }

  /**
   * A refusal is said once and dropped; everything else is tried again after a pause, with whatever is true by then. False
   * if nothing is to be done now.
   */
  async function tryAgain(item: Item, state: string, run: Run, error: unknown): Promise<boolean> {
    if (teller.until.aborted) {
      item.dirty = true;
      return false;
    }
    const what = { run: run.id, repository: fullName(run.repository), [item.kind]: item.job?.plan.key ?? 'slipway' };
    const fault = faultOf(error, Date.now());
    // Credentials that GitHub doesn't take are the operator's to mend: nothing is lost until then.
    if (fault.kind === 'permanent' && fault.status !== 401) {
      const about = fault.gone && fault.status !== 404 ? run.trigger.sha : `${run.repository.installationId}`;
      if (telling.isNews(`${about} ${describe(error)}`))
        telling.logger.error(what, `GitHub refuses to show a ${nameOf(item)}: ${describe(error)}. ${fault.advice}`);
      Object.assign(item, { state, version: run.version, refused: true });
      return item.dirty;
    }
    item.dirty = true;
    item.failures += 1;
    if (item.failures > enough) {
      item.failures = 0;
      gaveUp = true;
      return false;
    }
    const backoff = Math.min(maxRetryMs, retryMs * 2 ** (item.failures - 1));
    const wait = fault.kind === 'rate' ? Math.max(backoff, fault.until - Date.now()) : backoff;
    const advice = fault.kind === 'permanent' ? ` ${fault.advice}` : '';
    telling.logger.warn(
      what,
      `GitHub could not be told (${describe(error)}); trying again in ${Math.ceil(wait / 1000)} s.${advice}`,
    );
    // Not woken by news: what GitHub can't take now, it can't take in a newer form either.
    await sleep(wait, undefined, { ref: false, signal: teller.until }).catch(() => undefined);
    return true;
  }

  async function tellItem({ kind, job }: Item, { run, jobs }: RunView): Promise<void> {
    const place: Place = {
      client: await telling.github.client(run.repository.installationId),
      appId: telling.github.appId,
      repository: run.repository,
      sha: run.trigger.sha,
      told: telling.told,
      teller,
    };
    const detailsUrl = telling.detailsUrl(run, job);
    if (job === null) await tellRunCheck(place, { run, jobs }, detailsUrl);
    else if (kind === 'check') await tellJob(place, { run, jobs }, job, detailsUrl);
    else await tellDeploymentOf(place, { run, jobs }, job, detailsUrl);
  }

  async function tellRunCheck(place: Place, seen: RunView, detailsUrl: string): Promise<void> {
    const key = `check/${seen.run.id}`;
    const extras = { detailsUrl, externalId: `${runPrefix}${seen.run.id}` };
    const wanted = runCheckOf(seen, extras);
    if (wanted) await tellCheck(place, key, [], wanted);
    else if (seen.run.state !== 'pending' && (await isTold(telling.told, key)))
      await tellCheck(place, key, [], settledRunCheck(seen, extras));
  }

  async function tellJob(place: Place, seen: RunView, job: Job, detailsUrl: string): Promise<void> {
    const firsts = generations(job);
    const keys = firsts.map((first) => `check/${job.id}/${first}`);
    for (const [index, first] of firsts.entries()) {
      const next = firsts[index + 1];
      const shown = next === undefined ? job : ended(job, first, next - 1);
      const key = keys[index] ?? '';
      if (shown === null || (next !== undefined && !(await isOpen(telling.told, key)))) continue;
      const ran = shown.startedAt !== null && shown.outcome?.kind !== 'skipped';
      const excerpt = ran ? await telling.excerpt(shown) : '';
      await tellCheck(place, key, keys.slice(0, index), checkRunOf(seen, shown, { detailsUrl, excerpt }));
    }
  }

  async function tellDeploymentOf(place: Place, seen: RunView, job: Job, detailsUrl: string): Promise<void> {
    const firsts = generations(job);
    const keyOf = (first: number): string => `deployment/${job.id}/${first}`;
    const key = keyOf(firsts.at(-1) ?? 1);
    const wanted = deploymentOf(seen, job, await isTold(telling.told, key));
    const { work } = job.plan;
    for (const first of work.kind === 'deploy' ? firsts.slice(0, -1) : []) {
      const payload = { run: seen.run.id, job: job.id, attempt: first };
      const environment = work.kind === 'deploy' ? work.environment : '';
      await endDeployment(place, keyOf(first), { environment, payload }, detailsUrl);
    }
    if (wanted) await tellDeployment(place, key, wanted, detailsUrl);
  }
}

/** Changes of this are told at once, everything else when it's due. */
function stateOf(job: Job | null, { run, jobs }: RunView): string {
  if (job === null)
    return `${run.state} ${run.outcome?.kind} ${jobs.length} ${run.note} ${run.trust?.approval} ${run.cancel !== null}`;
  const note = job.note ?? (job.state === 'waiting' ? run.note : null);
  const cancelling = (job.cancel ?? run.cancel) !== null;
  return `${job.attempt} ${job.state} ${job.outcome?.kind} ${cancelling} ${note}`;
}

function nameOf(item: Item): string {
  return item.kind === 'check' ? 'check run' : 'deployment';
}

/** Forgets what GitHub was told of a run that is no longer kept. */
export async function untell(told: Pick<ToldStore, 'remove'>, runId: string, jobIds: readonly string[]): Promise<void> {
  await told.remove(`check/${runId}`);
  for (const id of jobIds) for (const kind of ['check', 'deployment']) await told.remove(`${kind}/${id}/`);
}
