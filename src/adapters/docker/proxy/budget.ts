import type { JobFacts, Refusal } from './contract.ts';
import { PlatformError } from '#src/model/outcome.ts';
import type { Engine } from './engine.ts';
import { LEFT_TO_US, shareOf, sharesOf } from './resources.ts';

/** A container whose maker named no limit is given no less, bytes and processes. */
const LEAST = { memory: 64 * 1024 ** 2, pids: 32 };
/** What a container may have at most. */
interface Amount {
  /** Bytes. */
  readonly memory: number;
  readonly pids: number;
}

/** Runs works of the same name one after the other. */
type Lock = <T>(name: string, work: () => Promise<T>) => Promise<T>;

/**
 * What the running containers and builds of a job have in all: no more than the job's own limit of memory and of processes,
 * on every engine. What changes it goes one after the other.
 */
export interface Budget {
  /** Starts (or restarts) a container if there is room for it. Refusal: there is none, and it wasn't started. */
  start<T>(id: string, work: () => Promise<T>): Promise<T | Refusal>;
  /** Changes the limits of a container, if there is room for them where it runs. */
  update<T>(id: string, limits: Readonly<Record<string, unknown>>, work: () => Promise<T>): Promise<T | Refusal>;
  /** One build after the other, with at most that memory. `gone`: nobody waits for it any more; then null. */
  build<T>(memory: number, gone: AbortSignal, work: (memory: number) => Promise<T>): Promise<T | Refusal | null>;
}

interface Container extends Amount {
  readonly id: string;
  readonly runs: boolean;
  /** Words of LEFT_TO_US. */
  readonly left: readonly string[];
}

/** `lock`: of this job alone. */
export function openBudget(
  engine: Engine,
  lock: Lock,
  { limits, labels }: Pick<JobFacts, 'limits' | 'labels'>,
): Budget {
  const label = Object.entries(labels).map(([name, value]) => `${name}=${value}`);
  /** Of the build that is under way, bytes. */
  let building = 0;

  async function containerOf(id: string): Promise<Container | null> {
    const { status, json } = await engine.ask('GET', `/containers/${encodeURIComponent(id)}/json`);
    if (status === 404) return null;
    const { HostConfig, State, Config } = (json ?? {}) as Inspected;
    if (status !== 200 || !HostConfig)
      throw new PlatformError(`The Docker engine answered ${status} about a container.`);
    return {
      id,
      memory: positive(HostConfig.Memory, limits.memory),
      pids: positive(HostConfig.PidsLimit, limits.pids),
      runs: State?.Running === true || State?.Paused === true || State?.Restarting === true,
      left: (Config?.Labels?.[LEFT_TO_US] ?? '').split(' '),
    };
  }

  /** What is left beside the containers that run, but for one. */
  async function room(without: string | null): Promise<Amount> {
    // Without its stopped ones: those have nothing. A paused one keeps its memory.
    const filters = encodeURIComponent(JSON.stringify({ label, status: ['running', 'paused', 'restarting'] }));
    const { status, json } = await engine.ask('GET', `/containers/json?all=1&filters=${filters}`);
    if (status !== 200 || !Array.isArray(json)) {
      throw new PlatformError(`The Docker engine answered ${status} to a list of containers.`);
    }
    const ids = (json as readonly { Id: string }[]).map(({ Id }) => Id).filter((id) => id !== without);
    let memory = limits.memory - building;
    let { pids } = limits;
    for (const container of await Promise.all(ids.map(containerOf))) {
      memory -= container?.memory ?? 0;
      pids -= container?.pids ?? 0;
    }
    return { memory, pids };
  }

  /** For a container that is to start: what it has, or less where its maker left it to us. Refusal: too little is left. */
  async function fit(container: Container): Promise<Amount | Refusal> {
    const free = await room(container.id);
    const given = { memory: container.memory, pids: container.pids };
    for (const name of ['memory', 'pids'] as const) {
      if (!container.left.includes(name)) continue;
      // A quarter; where less is left, the half of that, so that others find some, too.
      given[name] = Math.min(shareOf(limits[name]), Math.max(LEAST[name], Math.floor(free[name] / 2)));
    }
    return isIn(given, free) ? given : full(given, free);
  }

  const isIn = (asked: Amount, free: Amount) => asked.memory <= free.memory && asked.pids <= free.pids;

  function full(asked: Amount, free: Amount): Refusal {
    const [what, has, wants, left, option] =
      asked.memory > free.memory
        ? [
            'memory',
            mib(limits.memory),
            mib(asked.memory),
            mib(free.memory),
            '`--memory` (`mem_limit` in a compose file)',
          ]
        : [
            'processes',
            limits.pids,
            asked.pids,
            Math.max(0, free.pids),
            '`--pids-limit` (`pids_limit` in a compose file)',
          ];
    return {
      kind: 'refusal',
      status: 409,
      message:
        `Not in a job: all its running containers and builds together can have ${has} of ${what}. ${left} are left, and ` +
        `this one is to have ${wants}. Stop another one, or give each no more than it needs with ${option}.`,
    };
  }

  return {
    start: (id, work) =>
      lock('', async () => {
        const container = await containerOf(id);
        // What isn't there the engine says; what runs has its share.
        if (container === null || container.runs) return work();
        const given = await fit(container);
        if ('kind' in given) return given;
        if (given.memory !== container.memory || given.pids !== container.pids) {
          const { status } = await engine.ask('POST', `/containers/${encodeURIComponent(id)}/update`, {
            Memory: given.memory,
            MemorySwap: given.memory,
            PidsLimit: given.pids,
            CpuShares: sharesOf(given.memory, limits.memory),
          });
          // As where its reservation is more than is left.
          if (status >= 400) return full(container, await room(id));
        }
        return work();
      }),
    update: (id, asked, work) =>
      lock('', async () => {
        const container = await containerOf(id);
        if (container?.runs !== true) return work();
        const given = {
          memory: positive(asked['Memory'], container.memory),
          pids: positive(asked['PidsLimit'], container.pids),
        };
        const free = await room(id);
        // Less than before is always right.
        const isLess = given.memory <= container.memory && given.pids <= container.pids;
        return isLess || isIn(given, free) ? work() : full(given, free);
      }),
    build: (memory, gone, work) =>
      lock('build', async () => {
        if (gone.aborted) return null;
        const refusal = await lock('', async () => {
          const free = await room(null);
          const given = Math.min(memory, free.memory);
          if (given < Math.min(memory, LEAST.memory)) return full({ memory, pids: 0 }, free);
          building = given;
          return null;
        });
        if (refusal) return refusal;
        try {
          return await work(building);
        } finally {
          building = 0;
        }
      }),
  };
}

interface Inspected {
  readonly HostConfig?: { readonly Memory?: unknown; readonly PidsLimit?: unknown };
  readonly State?: { readonly Running?: boolean; readonly Paused?: boolean; readonly Restarting?: boolean };
  readonly Config?: { readonly Labels?: Readonly<Record<string, string>> | null };
}

/** 0 and -1 are the engine's words for no limit. */
function positive(value: unknown, otherwise: number): number {
  return typeof value === 'number' && value > 0 ? value : otherwise;
}

function mib(bytes: number): string {
  return `${Math.max(0, Math.floor(bytes / 1024 ** 2))} MiB`;
}
