import type { JobFacts } from './contract.ts';
import { refuse } from './refusal.ts';
import { between, type Check, dropped, type Fields, int, like, list, never, object, text, textIn } from './shape.ts';

/** Label of a container whose maker left memory or processes to us: what it gets is settled when it starts. */
export const LEFT_TO_US = 'slipway.limits';

const DEVICES = 'names devices of the host, which a job may not see.';
const WINDOWS = 'is for Windows.';
const REALTIME = "would take CPU time from others' work.";
const ULIMITS: Readonly<Record<string, number>> = {
  nofile: 1_048_576,
  nproc: 4_194_304,
  memlock: Number.MAX_SAFE_INTEGER,
  stack: Number.MAX_SAFE_INTEGER,
  fsize: Number.MAX_SAFE_INTEGER,
  cpu: Number.MAX_SAFE_INTEGER,
  as: Number.MAX_SAFE_INTEGER,
  data: Number.MAX_SAFE_INTEGER,
  rss: Number.MAX_SAFE_INTEGER,
  locks: 65_536,
  sigpending: 65_536,
  msgqueue: 819_200,
  core: Number.MAX_SAFE_INTEGER,
};

/** Of HostConfig and of an update: checked here, put into effect by `limitsOf`. */
export function resourceFields(job: JobFacts): Fields {
  const { memory } = job.limits;
  return {
    CpuShares: between(0, 262_144),
    Memory: int,
    MemorySwap: int,
    MemoryReservation: (value, where) => Math.min(Math.max(int(value, where), 0), memory),
    MemorySwappiness: between(-1, 100),
    NanoCpus: int,
    CpuPeriod: int,
    CpuQuota: int,
    CpusetCpus: like(/^[0-9,-]{0,200}$/),
    CpusetMems: like(/^[0-9,-]{0,200}$/),
    PidsLimit: int,
    BlkioWeight: between(0, 1000),
    KernelMemory: dropped,
    KernelMemoryTCP: dropped,
    OomKillDisable: never('would let a container hold the memory of the host for ever.'),
    Ulimits: ulimits,
    CgroupParent: never("is the server's choice: it holds the limits."),
    CpuRealtimePeriod: never(REALTIME),
    CpuRealtimeRuntime: never(REALTIME),
    CpuCount: never(WINDOWS),
    CpuPercent: never(WINDOWS),
    IOMaximumIOps: never(WINDOWS),
    IOMaximumBandwidth: never(WINDOWS),
    BlkioWeightDevice: never(DEVICES),
    BlkioDeviceReadBps: never(DEVICES),
    BlkioDeviceWriteBps: never(DEVICES),
    BlkioDeviceReadIOps: never(DEVICES),
    BlkioDeviceWriteIOps: never(DEVICES),
    Devices: never(DEVICES),
    DeviceCgroupRules: never(DEVICES),
    DeviceRequests: never(DEVICES),
  };
}

/**
 * The limits that go to the engine, from checked values: what the client asks for, at most the job's; of memory and
 * processes a share of the job's where it asks for none. For an update (`all` false) only those that it names. The weight
 * of its CPU time goes with its memory, so that a job with many containers weighs no more than one with none.
 */
export function limitsOf(
  asked: Readonly<Record<string, unknown>>,
  job: JobFacts,
  all: boolean,
): Record<string, unknown> {
  const { limits } = job;
  const result: Record<string, unknown> = {};
  const memory = capped(asked['Memory'], limits.memory, all);
  if (all || memory.given || (typeof asked['MemorySwap'] === 'number' && asked['MemorySwap'] !== 0)) {
    result['Memory'] = memory.value;
    result['MemorySwap'] = memory.value;
    result['CpuShares'] = sharesOf(memory.value, limits.memory);
  }
  if (typeof asked['MemoryReservation'] === 'number' && asked['MemoryReservation'] > 0) {
    result['MemoryReservation'] = Math.min(asked['MemoryReservation'], memory.value);
  }
  const pids = capped(asked['PidsLimit'], limits.pids, all);
  if (all || typeof asked['PidsLimit'] === 'number') result['PidsLimit'] = pids.value;
  const cpus = cpusAsked(asked);
  const most = limits.cpus === null ? null : Math.round(limits.cpus * 1e9);
  if (cpus !== null) result['NanoCpus'] = most === null ? cpus : Math.min(cpus, most);
  else if (most !== null && (all || ['NanoCpus', 'CpuQuota', 'CpuPeriod'].some((name) => name in asked))) {
    result['NanoCpus'] = most;
  }
  const weight = asked['CpuShares'];
  // An update doesn't tell the memory: what it may weigh isn't known.
  if (all && typeof weight === 'number' && weight > 0) {
    result['CpuShares'] = Math.min(Math.max(2, weight), sharesOf(memory.value, limits.memory));
  }
  for (const name of ['CpusetCpus', 'CpusetMems', 'BlkioWeight', 'MemorySwappiness']) {
    if (name in asked) result[name] = asked[name];
  }
  // Without swap the engine warns of it where the kernel can't do it.
  if (result['MemorySwappiness'] === -1) delete result['MemorySwappiness'];
  return result;
}

/** Where nothing is asked for: a share of the most, or the most itself. */
function capped(asked: unknown, most: number, isShared: boolean): { readonly value: number; readonly given: boolean } {
  const given = typeof asked === 'number' && asked > 0;
  return { value: given ? Math.min(asked, most) : isShared ? shareOf(most) : most, given };
}

/** What a container gets of a limit of the job's if its maker names none. */
export function shareOf(whole: number): number {
  return Math.max(1, Math.floor(whole / 4));
}

/** The weight of a container's CPU time: all that fit into the job's memory weigh as much as the job itself. */
export function sharesOf(memory: number, whole: number): number {
  return Math.max(2, Math.floor((1024 * memory) / whole));
}

/** Which limits the client leaves to us: words of the label that tells the budget. */
export function leftToUs(asked: Readonly<Record<string, unknown>>): string {
  const isNamed = (name: string) => typeof asked[name] === 'number' && asked[name] > 0;
  return [...(isNamed('Memory') ? [] : ['memory']), ...(isNamed('PidsLimit') ? [] : ['pids'])].join(' ');
}

/** In billionths; null: not asked for. Quota and period, which the engine doesn't take beside NanoCpus, become them. */
function cpusAsked(asked: Readonly<Record<string, unknown>>): number | null {
  const nano = asked['NanoCpus'];
  if (typeof nano === 'number' && nano > 0) return nano;
  const quota = asked['CpuQuota'];
  if (typeof quota !== 'number' || quota <= 0) return null;
  const period = asked['CpuPeriod'];
  return Math.max(1e7, Math.round((quota / (typeof period === 'number' && period > 0 ? period : 100_000)) * 1e9));
}

/** Core files stay off. */
const ulimits: Check = (value, where) => {
  const result = list(value, where).flatMap((item) => {
    const limit = object(item, where, { Name: text, Soft: int, Hard: int });
    const name = textIn(limit, 'Name');
    const most = Object.hasOwn(ULIMITS, name) ? ULIMITS[name] : undefined;
    if (most === undefined) refuse(`the ulimit ${name.slice(0, 20)} may not be set.`);
    const bounded = (number: unknown) =>
      typeof number === 'number' && number >= 0 ? Math.min(number, most) : most === Number.MAX_SAFE_INTEGER ? -1 : most;
    return name === 'core' ? [] : [{ Name: name, Soft: bounded(limit['Soft']), Hard: bounded(limit['Hard']) }];
  });
  return [...result, { Name: 'core', Soft: 0, Hard: 0 }];
};

/** The limits in a build's query are of the same kind; as in `ulimits=[...]`. */
export function checkedUlimits(value: unknown): unknown {
  return ulimits(value, 'ulimits');
}
