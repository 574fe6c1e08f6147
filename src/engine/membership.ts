import type { Log } from './parts.ts';
import type { Worker, WorkerStore } from './store.ts';

export interface MembershipOptions {
  readonly workers: WorkerStore;
  /** This process. */
  readonly id: string;
  /** Where it keeps its data: whoever was here before is dead. */
  readonly place: string;
  /** Id of the Docker engine, or null while it can't be asked. */
  readonly engine: () => Promise<string | null>;
  /** A server that was silent for so long is dead, milliseconds. */
  readonly leaseMs: number;
  /** A watch that no change of the clock moves, milliseconds. */
  readonly watch: () => number;
  readonly log: Log;
  /** A server is dead: its work is to be taken over. True once that is done; false: another server has to do it. */
  readonly onDead: (dead: Worker, alive: readonly Worker[]) => Promise<boolean>;
  /** This server leads until the signal is aborted. */
  readonly onLead: (signal: AbortSignal) => void;
  /** Others took this server for dead: what it did is theirs now. */
  readonly onLost: () => void;
}

export interface Membership {
  /** Enters and takes the place of earlier processes. Rejects with PlatformError if the database doesn't answer. */
  start(): Promise<void>;
  /** Beats and looks at the others; happens by itself five times in a lease. */
  look(): Promise<void>;
  /** Stops beating and leading. What this server left is taken over when its lease is over, or by the next at its place. */
  stop(): Promise<void>;
}

/**
 * Who of the servers on one database lives, and who leads. Nobody's clock is compared with another's: a server is dead if
 * its beats didn't grow for a whole lease by this process's own watch, while the database answered.
 */
export function createMembership(options: MembershipOptions): Membership {
  const { workers, id, place, leaseMs, log } = options;
  const seen = new Map<string, { readonly beats: number; readonly since: number }>();
  let engine: string | null = null;
  let leading: AbortController | null = null;
  let timer: NodeJS.Timeout | null = null;
  let round: Promise<void> = Promise.resolve();
  let stopped = false;
  let lookedAt = Number.NEGATIVE_INFINITY;

  async function enter(): Promise<void> {
    engine = await options.engine();
    await workers.enter({ id, place, engine });
  }

  async function look(): Promise<void> {
    const now = options.watch();
    // Whoever stood still itself (a suspended machine), or couldn't ask, has seen nobody being silent.
    if (now - lookedAt > leaseMs / 2) seen.clear();
    await lookAt(now);
    lookedAt = now;
  }

  async function lookAt(now: number): Promise<void> {
    if (!(await workers.beat(id))) {
      log.warn({ worker: id }, 'other servers took this one for dead: its jobs are theirs');
      resign();
      options.onLost();
      await enter();
    } else if (engine === null) {
      engine = await options.engine();
      if (engine !== null) await workers.enter({ id, place, engine });
    }
    // Before the others are: whoever owns a job was there before it claimed it.
    const owners = leading === null ? [] : await workers.owners();
    const all = await workers.all();
    const lost = owners.filter((owner) => all.every((worker) => worker.id !== owner));
    const dead = all.filter((worker) => worker.id !== id && isDead(worker, now));
    const alive = all.filter((worker) => !dead.includes(worker));
    // One that was taken for dead claimed a job before it noticed, and died: nobody else would ever look after it.
    for (const owner of lost) await options.onDead({ id: owner, place: '', engine: null, beats: 0 }, alive);
    for (const worker of dead) {
      if (!(await options.onDead(worker, alive))) continue;
      await workers.remove(worker.id);
      seen.delete(worker.id);
      const fields = { worker: worker.id, place: worker.place };
      if (worker.place === place) log.info(fields, 'this server goes on for the one before it');
      else log.warn(fields, 'took over from a server that is gone');
    }
    await lead(new Set(alive.map((worker) => worker.id)));
  }

  function isDead(worker: Worker, now: number): boolean {
    if (worker.place === place) return true;
    const before = seen.get(worker.id);
    if (before?.beats !== worker.beats) {
      seen.set(worker.id, { beats: worker.beats, since: now });
      return false;
    }
    return now - before.since > leaseMs;
  }

  async function lead(alive: ReadonlySet<string>): Promise<void> {
    const leader = await workers.leader();
    if (leader === id) return begin();
    resign();
    if (leader !== null && alive.has(leader)) return;
    if (await workers.lead(id, leader)) begin();
  }

  function begin(): void {
    if (leading !== null || stopped) return;
    leading = new AbortController();
    log.info({ worker: id }, 'this server leads');
    options.onLead(leading.signal);
  }

  function resign(): void {
    leading?.abort(new Error('This server leads no more.'));
    leading = null;
  }

  function next(): void {
    if (stopped) return;
    timer = setTimeout(() => {
      round = look()
        .catch((error: unknown) => {
          log.error({ err: error }, 'the servers could not be looked at');
        })
        .then(next);
    }, leaseMs / 5);
    timer.unref();
  }

  return {
    look,
    async start() {
      await enter();
      await look();
      next();
    },
    async stop() {
      stopped = true;
      if (timer) clearTimeout(timer);
      await round;
      resign();
    },
  };
}
