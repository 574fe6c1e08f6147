import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Reporter } from '#src/engine/ports.ts';
import type { RunStore, ToldStore } from '#src/engine/store.ts';
import type { Job, Run, RunView } from '#src/model/run.ts';
import type { GitHub } from './github.ts';
import type { Deployed } from './report/deployed.ts';
import { createInTurn } from './tell-comment.ts';
import { createRunTelling, type RunTelling } from './tell-run.ts';
import type { Telling } from './telling.ts';
import { createTurns, type Turns } from './turns.ts';

export interface ReporterOptions {
  readonly github: Pick<GitHub, 'appId' | 'client'>;
  readonly runs: Pick<RunStore, 'view' | 'untold' | 'told'>;
  readonly told: ToldStore;
  /** Address of the page of a job, or of the run. */
  readonly detailsUrl: (run: Run, job: Job | null) => string;
  /** The part of the job's log that matters: the failing part first, the end while it runs; '' if there is none. */
  readonly excerpt: (job: Job) => Promise<string>;
  /** What is known of a deploy or preview job's deployment beside the job. */
  readonly deployed: (run: Run, job: Job) => Promise<Deployed>;
  readonly logger: Logger;
  /** Milliseconds between two tellings of a state that didn't change (a log that grows, a rollout's progress). */
  readonly refreshMs?: number;
  /** Milliseconds before a telling that failed is tried again: doubled each time, up to 5 minutes. */
  readonly retryMs?: number;
  /** Milliseconds between two looks for runs that aren't told, whatever was reported. */
  readonly lookMs?: number;
  /** Milliseconds that GitHub may be at work on a request whose answer was lost. */
  readonly settleMs?: number;
  /** Milliseconds that `close` waits for answers. */
  readonly closeMs?: number;
}

export interface GitHubReporter extends Reporter {
  /**
   * Takes up all runs that aren't told: those of an earlier process, and those of which a word was lost. From then on it
   * looks by itself now and then. Never rejects.
   */
  resume(): Promise<void>;
  /**
   * Stops: no request begins any more, and those under way are waited for a few seconds and then ended. Whoever tells
   * next looks for what they may have made. Only after that another may tell.
   */
  close(): Promise<void>;
}

/** A run that is being told, or that is worth being told again in a while. */
interface Watched {
  readonly id: string;
  readonly telling: RunTelling;
  readonly lane: Lane;
  /** It takes a place in its lane. */
  active: boolean;
  timer: NodeJS.Timeout | null;
  told: number;
}

/** The runs of one installation: its limits and troubles are its own. */
interface Lane {
  active: number;
  /** Runs that wait for a place. */
  readonly parked: Turns;
}

/** Runs of one installation that are told at once. */
const laneSize = 50;
const readers = 8;
const pageSize = 500;
/** Of more runs not even the ids are kept: they are looked for when these are done. */
const mostKnown = 20_000;
const dayMs = 24 * 60 * 60_000;

/** Tells GitHub about runs. What it holds in memory is bounded, however much there is to tell. */
export function createReporter(options: ReporterOptions): GitHubReporter {
  const closing = new AbortController();
  const ending = new AbortController();
  const retryMs = options.retryMs ?? 1_000;
  const watched = new Map<string, Watched>();
  const lanes = new Map<number, Lane>();
  /** Runs that have to be read. */
  const unread = createTurns();
  /** Runs that were reported while they were being read. */
  const reading = new Map<string, { again: boolean }>();
  const said = new Set<string>();
  let marking = 0;
  let hurry = false;
  let looking: Promise<void> | null = null;
  let lookTimer: NodeJS.Timeout | null = null;
  let onIdle: (() => void)[] = [];
  const telling: Telling = {
    ...options,
    refreshMs: options.refreshMs ?? 10_000,
    retryMs,
    inTurn: createInTurn(),
    teller: {
      id: randomUUID(),
      settleMs: options.settleMs ?? 10_000,
      until: closing.signal,
      now: ending.signal,
    },
    hurry: () => hurry,
    isNews(about) {
      const what = `${Math.floor(performance.now() / dayMs)} ${about}`;
      if (said.has(what)) return false;
      if (said.size >= 1_000) said.clear();
      said.add(what);
      return true;
    },
  };

  return {
    report: (runId) => take(runId, true),
    async flush(deadlineMs) {
      hurry = true;
      for (const run of watched.values()) if (run.timer !== null) take(run.id, true);
      await idle(deadlineMs);
      hurry = false;
    },
    resume() {
      if (lookTimer === null && !closing.signal.aborted) {
        lookTimer = setInterval(() => void look(), options.lookMs ?? 60_000);
        lookTimer.unref();
      }
      return look();
    },
    async close() {
      closing.abort();
      unread.clear();
      if (lookTimer) clearInterval(lookTimer);
      for (const run of watched.values()) if (run.timer) clearTimeout(run.timer);
      await idle(options.closeMs ?? 5_000);
      ending.abort();
      await idle(1_000);
    },
  };

  function take(id: string, fresh: boolean): void {
    if (closing.signal.aborted) return;
    const now = reading.get(id);
    if (now) {
      now.again = true;
      return;
    }
    unread.add(id, fresh);
    readMore();
  }

  function readMore(): void {
    while (reading.size < readers && !closing.signal.aborted) {
      const turn = unread.next();
      if (turn === null) break;
      reading.set(turn.id, { again: false });
      void read(turn.id, turn.fresh);
    }
    wakeIdle();
  }

  async function read(id: string, fresh: boolean): Promise<void> {
    try {
      const view = await options.runs.view(id);
      if (closing.signal.aborted) return;
      if (view !== null) admit(view, fresh);
      else {
        forget(id);
        for (const lane of lanes.values()) next(lane);
      }
    } catch (error) {
      options.logger.error({ err: error, run: id }, 'A run could not be read; it is reported later.');
      await sleep(retryMs, undefined, { ref: false, signal: closing.signal }).catch(() => undefined);
      if (!closing.signal.aborted) unread.add(id, fresh);
    } finally {
      const again = reading.get(id)?.again === true;
      reading.delete(id);
      if (again && !closing.signal.aborted) unread.add(id, true);
      readMore();
    }
  }

  /** Tells the run if its installation has a place for it; otherwise it waits, and is read anew when its turn comes. */
  function admit(view: RunView, fresh: boolean): void {
    const { id } = view.run;
    const lane = laneOf(view.run.repository.installationId);
    let run = watched.get(id);
    if (!run?.active && lane.active >= laneSize) {
      forget(id);
      lane.parked.add(id, fresh);
      return;
    }
    lane.parked.delete(id);
    if (!run) {
      run = { id, lane, telling: createRunTelling(telling, () => settled(id)), active: false, timer: null, told: -1 };
      watched.set(id, run);
    }
    if (run.timer) clearTimeout(run.timer);
    run.timer = null;
    if (!run.active) lane.active += 1;
    run.active = true;
    run.telling.tell(view);
  }

  /** Nothing of the run is being told: it is marked, its place is free, and it is kept only if it is worth another look. */
  function settled(id: string): void {
    const run = watched.get(id);
    if (!run) return;
    const { told, dueIn } = run.telling.standing();
    if (run.active) run.lane.active -= 1;
    run.active = false;
    if (closing.signal.aborted) return wakeIdle();
    if (told !== null && told !== run.told) void mark(run, told);
    if (dueIn === null) watched.delete(id);
    else {
      run.timer = setTimeout(() => {
        run.timer = null;
        take(id, true);
      }, dueIn);
      run.timer.unref();
    }
    next(run.lane);
    wakeIdle();
  }

  async function mark(run: Watched, version: number): Promise<void> {
    marking += 1;
    try {
      await options.runs.told(run.id, version);
      run.told = version;
    } catch (error) {
      options.logger.error({ err: error, run: run.id }, 'That a run was told could not be stored; it is told again.');
    }
    marking -= 1;
    wakeIdle();
  }

  /** Takes up what is left over, page by page. */
  async function look(): Promise<void> {
    looking ??= lookOnce().finally(() => {
      looking = null;
      wakeIdle();
    });
    return looking;
  }

  async function lookOnce(): Promise<void> {
    try {
      for (let more = true; more && !closing.signal.aborted; ) {
        const limit = Math.min(mostKnown, known() + pageSize);
        const ids = await options.runs.untold(limit);
        for (const id of ids) if (!isKnown(id)) take(id, false);
        more = ids.length === limit && known() < mostKnown;
      }
    } catch (error) {
      options.logger.error({ err: error }, 'The runs that are still to be told could not be read; trying again later.');
    }
  }

  function known(): number {
    let parked = 0;
    for (const lane of lanes.values()) parked += lane.parked.size;
    return watched.size + unread.size + reading.size + parked;
  }

  /** Whether it is told, or will be without another word; a run that waits for its time may have news. */
  function isKnown(id: string): boolean {
    if (watched.get(id)?.active || unread.has(id) || reading.has(id)) return true;
    for (const lane of lanes.values()) if (lane.parked.has(id)) return true;
    return false;
  }

  function laneOf(installation: number): Lane {
    let lane = lanes.get(installation);
    if (!lane) {
      lane = { active: 0, parked: createTurns() };
      lanes.set(installation, lane);
    }
    return lane;
  }

  /** Gives the lane's free place to whoever waits for it. */
  function next(lane: Lane): void {
    const turn = lane.active < laneSize ? lane.parked.next() : null;
    if (turn !== null) take(turn.id, turn.fresh);
  }

  function forget(id: string): void {
    const run = watched.get(id);
    if (run?.timer) clearTimeout(run.timer);
    if (run && !run.active) watched.delete(id);
  }

  function isIdle(): boolean {
    if (unread.size > 0 || reading.size > 0 || marking > 0 || looking !== null) return false;
    for (const lane of lanes.values()) if (lane.active > 0) return false;
    return true;
  }

  function wakeIdle(): void {
    if (onIdle.length === 0 || !isIdle()) return;
    for (const resolve of onIdle) resolve();
    onIdle = [];
  }

  async function idle(deadlineMs: number): Promise<void> {
    if (isIdle()) return;
    const over = new AbortController();
    const done = new Promise<void>((resolve) => onIdle.push(resolve));
    await Promise.race([done, sleep(deadlineMs, undefined, { signal: over.signal }).catch(() => undefined)]);
    over.abort();
  }
}
