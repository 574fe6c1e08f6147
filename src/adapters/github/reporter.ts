import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Reporter } from '#src/engine/ports.ts';
import type { RunStore, ToldStore } from '#src/engine/store.ts';
import { fullName } from '#src/model/repository.ts';
import type { Job, Run, RunView } from '#src/model/run.ts';
import { describe, faultOf } from './faults.ts';
import type { GitHub } from './github.ts';
import { checkRunOf } from './report/check-run.ts';
import { deploymentOf } from './report/deployment.ts';
import { runCheckOf, settledRunCheck } from './report/run-check.ts';
import { isTold, type Place, tellCheck } from './tell-check.ts';
import { tellDeployment } from './tell-deployment.ts';
import { runPrefix } from './understand.ts';

export interface ReporterOptions {
  readonly github: Pick<GitHub, 'appId' | 'client'>;
  readonly runs: Pick<RunStore, 'view'>;
  readonly told: ToldStore;
  /** Address of the page of a job, or of the run. */
  readonly detailsUrl: (run: Run, job: Job | null) => string;
  /** The part of the job's log that matters: the failing part first, the end while it runs; '' if there is none. */
  readonly excerpt: (job: Job) => Promise<string>;
  readonly logger: Logger;
  /** Milliseconds between two tellings of a state that didn't change (a log that grows, a rollout's progress). */
  readonly refreshMs?: number;
  /** Milliseconds before a telling that failed is tried again: doubled each time, up to 5 minutes. */
  readonly retryMs?: number;
}

export interface GitHubReporter extends Reporter {
  /** Takes up what an earlier process had not told to the end. Call it once, at start. */
  resume(): Promise<void>;
  /** Stops refreshing and retrying; `resume` of the next process goes on. */
  close(): void;
}

/** One thing on GitHub that is kept up to date: a job's check run (with its deployment), or the run's own. */
interface Item {
  readonly key: string;
  input: { readonly view: RunView; readonly job: Job | null };
  dirty: boolean;
  working: boolean;
  /** State that was told last, and when. */
  state: string;
  toldAt: number;
  failures: number;
  /** GitHub refused it for good: only a new state is worth another try. */
  refused: boolean;
  /** Ends a wait early. */
  wake: AbortController;
  refresh: NodeJS.Timeout | null;
}

interface Watched {
  readonly id: string;
  readonly items: Map<string, Item>;
  version: number;
  reading: boolean;
  over: boolean;
}

const maxRetryMs = 5 * 60_000;
const outbox = 'reporter/outbox';

/** Tells GitHub about runs. Each item is told by itself, so one that fails or waits holds up no other. */
export function createReporter(options: ReporterOptions): GitHubReporter {
  const refreshMs = options.refreshMs ?? 10_000;
  const retryMs = options.retryMs ?? 1_000;
  const runs = new Map<string, Watched>();
  let noted: Promise<unknown> = Promise.resolve();
  const closing = new AbortController();
  let hurry = false;
  let active = 0;
  let onIdle: (() => void)[] = [];

  return {
    report(runId) {
      if (closing.signal.aborted) return;
      let run = runs.get(runId);
      if (!run) {
        run = { id: runId, items: new Map(), version: 0, reading: false, over: false };
        runs.set(runId, run);
        noteOpenRuns();
      }
      run.version += 1;
      if (!run.reading) track(read(run));
    },
    async flush(deadlineMs) {
      hurry = true;
      for (const run of runs.values()) for (const item of run.items.values()) item.wake.abort();
      const idle = active === 0 ? Promise.resolve() : new Promise<void>((resolve) => onIdle.push(resolve));
      const enough = new AbortController();
      await Promise.race([idle, sleep(deadlineMs, undefined, { signal: enough.signal }).catch(() => undefined)]);
      enough.abort();
      hurry = false;
      await noted;
    },
    async resume() {
      const text = await options.told.get(outbox);
      for (const id of text === null ? [] : (JSON.parse(text) as string[])) this.report(id);
    },
    close() {
      closing.abort();
      for (const run of runs.values()) {
        for (const item of run.items.values()) {
          if (item.refresh) clearTimeout(item.refresh);
          item.wake.abort();
        }
      }
    },
  };

  /** Reads the run, as often as it is reported meanwhile, and hands its parts to their items. */
  async function read(run: Watched): Promise<void> {
    run.reading = true;
    for (let seen = -1; seen !== run.version && !closing.signal.aborted; ) {
      seen = run.version;
      try {
        const view = await options.runs.view(run.id);
        if (view) spread(run, view);
        else runs.delete(run.id);
      } catch (error) {
        options.logger.error({ err: error, run: run.id }, 'A run could not be read; it is reported later.');
        await sleep(retryMs, undefined, { ref: false });
        run.version += 1;
      }
    }
    run.reading = false;
    dropIfTold(run);
  }

  function spread(run: Watched, view: RunView): void {
    run.over = view.run.state === 'completed';
    for (const job of [...view.jobs, null]) {
      const key = job === null ? `check/${run.id}` : `check/${job.id}`;
      let item = run.items.get(key);
      if (!item) {
        item = newItem(key, job, view);
        run.items.set(key, item);
      }
      item.input = { view, job };
      item.dirty = true;
      if (stateOf(job, view) !== item.state) item.wake.abort();
      if (!item.working) track(work(run, item));
    }
  }

  /** Tells the item until nothing new is left to tell. */
  async function work(run: Watched, item: Item): Promise<void> {
    item.working = true;
    if (item.refresh) clearTimeout(item.refresh);
    while (item.dirty && !closing.signal.aborted) {
      item.wake = new AbortController();
      const same = stateOf(item.input.job, item.input.view) === item.state;
      if (same && item.refused) break;
      if (same && !hurry) await pause(item, item.toldAt + refreshMs - Date.now());
      if (closing.signal.aborted) break;
      item.dirty = false;
      const { view, job } = item.input;
      const state = stateOf(job, view);
      try {
        await tell(item, view, job);
        Object.assign(item, { state, toldAt: Date.now(), failures: 0, refused: false });
      } catch (error) {
        await giveUpOrWait(item, state, error);
      }
    }
    item.working = false;
    if (!closing.signal.aborted && item.input.job?.state === 'running' && !item.refused) {
      item.refresh = setTimeout(() => {
        item.dirty = true;
        if (!item.working) track(work(run, item));
      }, refreshMs);
      item.refresh.unref();
    }
    dropIfTold(run);
  }

  async function tell(item: Item, view: RunView, job: Job | null): Promise<void> {
    const { run } = view;
    const place: Place = {
      client: await options.github.client(run.repository.installationId),
      appId: options.github.appId,
      repository: run.repository,
      sha: run.trigger.sha,
      told: options.told,
    };
    const detailsUrl = options.detailsUrl(run, job);
    if (job === null) {
      const extras = { detailsUrl, externalId: `${runPrefix}${run.id}` };
      const wanted = runCheckOf(view, extras);
      if (wanted) await tellCheck(place, item.key, null, wanted);
      else if (await isTold(options.told, item.key))
        await tellCheck(place, item.key, null, settledRunCheck(view, extras));
      return;
    }
    const ran = job.startedAt !== null && job.outcome?.kind !== 'skipped';
    const excerpt = ran ? await options.excerpt(job) : '';
    const before = job.attempt > 1 ? `${item.key}/${job.attempt - 1}` : null;
    await tellCheck(place, `${item.key}/${job.attempt}`, before, checkRunOf(view, job, { detailsUrl, excerpt }));
    const key = `deployment/${job.id}/${job.attempt}`;
    const deployment = deploymentOf(view, job, job.plan.work.kind === 'deploy' && (await isTold(options.told, key)));
    if (deployment) await tellDeployment(place, key, deployment, detailsUrl);
  }

  /** A refusal is logged once and dropped; everything else is tried again, with whatever is true by then. */
  async function giveUpOrWait(item: Item, state: string, error: unknown): Promise<void> {
    const { run } = item.input.view;
    const what = { run: run.id, repository: fullName(run.repository), check: item.input.job?.plan.key ?? 'slipway' };
    const fault = faultOf(error, Date.now());
    if (fault.kind === 'permanent') {
      options.logger.error(what, `GitHub refuses to show a check run: ${describe(error)}. ${fault.advice}`);
      Object.assign(item, { state, refused: true });
      return;
    }
    item.dirty = true;
    item.failures += 1;
    const backoff = Math.min(maxRetryMs, retryMs * 2 ** Math.min(item.failures - 1, 20));
    const wait = fault.kind === 'rate' ? Math.max(backoff, fault.until - Date.now()) : backoff;
    options.logger.warn(
      what,
      `GitHub could not be told (${describe(error)}); trying again in ${Math.ceil(wait / 1000)} s.`,
    );
    // Not woken by news: what GitHub can't take now, it can't take in a newer form either.
    await sleep(wait, undefined, { ref: false, signal: closing.signal }).catch(() => undefined);
  }

  async function pause(item: Item, ms: number): Promise<void> {
    if (ms > 0) await sleep(ms, undefined, { ref: false, signal: item.wake.signal }).catch(() => undefined);
  }

  /** Forgets a run that is over and wholly told. */
  function dropIfTold(run: Watched): void {
    if (!run.over || run.reading || closing.signal.aborted) return;
    for (const item of run.items.values()) if (item.working || (item.dirty && !item.refused)) return;
    if (runs.delete(run.id)) noteOpenRuns();
  }

  /** Keeps the list of runs that aren't wholly told, so that the next process can go on. */
  function noteOpenRuns(): void {
    noted = noted
      .then(() => options.told.set(outbox, JSON.stringify([...runs.keys()])))
      .catch((error: unknown) => options.logger.error({ err: error }, 'The list of untold runs could not be stored.'));
  }

  function track(work: Promise<void>): void {
    active += 1;
    void work.finally(() => {
      active -= 1;
      if (active > 0) return;
      for (const resolve of onIdle) resolve();
      onIdle = [];
    });
  }
}

/** Changes of this are told at once, everything else when it's due. */
function stateOf(job: Job | null, view: RunView): string {
  if (job === null) return `${view.run.state} ${view.run.outcome?.kind ?? ''} ${view.jobs.length}`;
  return `${job.attempt} ${job.state} ${job.outcome?.kind ?? ''}`;
}

function newItem(key: string, job: Job | null, view: RunView): Item {
  return {
    key,
    input: { view, job },
    dirty: false,
    working: false,
    state: '',
    toldAt: 0,
    failures: 0,
    refused: false,
    wake: new AbortController(),
    refresh: null,
  };
}
