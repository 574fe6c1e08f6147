import { setTimeout as sleep } from 'node:timers/promises';
import type { ToldStore } from '#src/engine/store.ts';
import { fullName } from '#src/model/repository.ts';
import type { Job, Run, RunView } from '#src/model/run.ts';
import { describe, faultOf } from './faults.ts';
import { isDeployment } from './report/deployed.ts';
import { itemsOf, tellItem, type What } from './tell-item.ts';
import type { Telling } from './telling.ts';

/** One thing on GitHub that is kept up to date. */
interface Item {
  what: What;
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
      for (const what of itemsOf(given)) take(what);
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

  function take(what: What): void {
    const key = `${what.kind}/${what.job?.id ?? ''}`;
    let item = items.get(key);
    if (!item) {
      item = {
        what,
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
    item.what = what;
    // A log grows without a new version.
    if (item.version < version || what.job?.state === 'running') item.dirty = true;
    if (!item.working) void work(item);
  }

  /** Tells the item until nothing new is left to tell. */
  async function work(item: Item): Promise<void> {
    item.working = true;
    working += 1;
    while (item.dirty && !teller.until.aborted) {
      const seen = view;
      if (seen === null) break;
      const state = stateOf(item.what, seen);
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
        await tellItem(telling, item.what, seen);
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
    const what = {
      run: run.id,
      repository: fullName(run.repository),
      [item.what.kind]: item.what.job?.plan.key ?? 'slipway',
    };
    const fault = faultOf(error, Date.now());
    // Credentials that GitHub doesn't take are the operator's to mend: nothing is lost until then.
    if (fault.kind === 'permanent' && fault.status !== 401) {
      const about = fault.gone && fault.status !== 404 ? run.trigger.sha : `${run.repository.installationId}`;
      if (telling.isNews(`${about} ${describe(error)}`))
        telling.logger.error(
          what,
          `GitHub refuses to show a ${names[item.what.kind]}: ${describe(error)}. ${fault.advice}`,
        );
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
}

/** Changes of this are told at once, everything else when it's due. */
function stateOf({ kind, job }: What, { run, jobs }: RunView): string {
  if (kind === 'comment')
    return jobs
      .filter((it) => isDeployment(it.plan.work))
      .map(placeOf)
      .join(', ');
  if (job === null)
    return `${run.state} ${run.outcome?.kind} ${jobs.length} ${run.note} ${run.trust?.approval} ${run.cancel !== null}`;
  const note = job.note ?? (job.state === 'waiting' ? run.note : null);
  const cancelling = (job.cancel ?? run.cancel) !== null;
  return `${placeOf(job)} ${cancelling} ${note} ${JSON.stringify(job.gate)}`;
}

function placeOf({ attempt, state, outcome, gate }: Job): string {
  return `${attempt} ${state} ${outcome?.kind} ${gate?.kind}`;
}

const names = { check: 'check run', deployment: 'deployment', comment: 'comment on deployments' } as const;

/** Forgets what GitHub was told of a run that is no longer kept. */
export async function untell(told: Pick<ToldStore, 'remove'>, runId: string, jobIds: readonly string[]): Promise<void> {
  await told.remove(`check/${runId}`);
  for (const id of jobIds) for (const kind of ['check', 'deployment']) await told.remove(`${kind}/${id}/`);
}
