import type { Ends, Executor, JobListener, JobRequest, JobResult, Tree } from '#src/engine/ports.ts';
import { maskText } from '#src/model/mask.ts';
import { type Outcome, type PlatformError, success, UserError } from '#src/model/outcome.ts';

/** What a scripted step may do. */
export interface FakeStep {
  readonly request: JobRequest;
  readonly tree: Tree;
  /** The job's workspace: contents by path. What artifacts and reports name is taken from here. */
  readonly files: Map<string, string>;
  /** Aborted when the job is stopped. */
  readonly signal: AbortSignal;
  write(text: string): void;
}

/** Exit code of the step; throws to break the platform (PlatformError) or to refuse the job (UserError). */
export type FakeScript = (script: string, step: FakeStep) => number | Promise<number>;

/** A job that another process began: played from its first step when it is attached to. */
export interface FakeLeft {
  /** What that process's listener answered. */
  readonly begun: number;
  /** Default: as every other job is played. */
  readonly script?: FakeScript;
}

export interface FakeExecutor extends Executor {
  /** What another process left, by the job's id; an error: the job can't be followed. Jobs that are left come here. */
  readonly left: Map<string, FakeLeft | PlatformError>;
  /** Requests so far, in the order they came. */
  readonly requests: readonly JobRequest[];
  /** Images that jobs were expected with. */
  readonly expected: readonly string[];
  /** While set, every call throws it. */
  failure: PlatformError | null;
}

/**
 * An Executor without containers: `script` plays each step. Files are handed from job to job as with the real one;
 * a pattern of artifacts or reports is a path or ends in `/**`.
 */
export function openFakeExecutor(script: FakeScript = () => 0): FakeExecutor {
  const archives = new Map<string, ReadonlyMap<string, string>>();
  const requests: JobRequest[] = [];
  const expected: string[] = [];
  const trees = new Map<string, Tree>();
  const left = new Map<string, FakeLeft | PlatformError>();
  const fake: FakeExecutor = {
    left,
    requests,
    expected,
    failure: null,
    async run(request, tree, listener, ends) {
      tree.catch(() => {});
      if (fake.failure) throw fake.failure;
      requests.push(request);
      try {
        const files = await unlessLeft(ends, tree);
        trees.set(request.jobId, files);
        const job = { begun: listener.begin(), script };
        const playing = play(request, files, listener, ends, script, archives);
        return await unlessLeft(ends, playing, () => left.set(request.jobId, job));
      } catch (error) {
        if (ends.leave.aborted || !(error instanceof UserError)) throw error;
        return { outcome: { kind: 'failure', reason: error.message }, artifacts: null, reports: new Map() };
      }
    },
    async attach(request, listener, ends) {
      if (fake.failure) throw fake.failure;
      const job = left.get(request.jobId);
      left.delete(request.jobId);
      if (job === undefined) return null;
      if (job instanceof Error) throw job;
      await listener.rewind(job.begun);
      const tree = trees.get(request.jobId) ?? { path: '/tree', [Symbol.asyncDispose]: async () => {} };
      const playing = play(request, tree, listener, ends, job.script ?? script, archives);
      return unlessLeft(ends, playing, () => left.set(request.jobId, job));
    },
    expect: (image) => void expected.push(image),
    async sweep(running) {
      if (fake.failure) throw fake.failure;
      await running([]);
      return 0;
    },
    async ping() {
      if (fake.failure) throw fake.failure;
    },
    async engine() {
      if (fake.failure) throw fake.failure;
      return 'fake';
    },
    async close() {},
  };
  return fake;
}

/** What is going on, until it is left: then nothing more of it is heard. */
async function unlessLeft<T>(ends: Ends, doing: Promise<T>, onLeave = () => {}): Promise<T> {
  const { promise: leaving, reject } = Promise.withResolvers<never>();
  const leave = () => {
    onLeave();
    reject(ends.leave.reason as Error);
  };
  if (ends.leave.aborted) leave();
  ends.leave.addEventListener('abort', leave, { once: true });
  doing.catch(() => {});
  try {
    return await Promise.race([leaving, doing]);
  } finally {
    ends.leave.removeEventListener('abort', leave);
  }
}

async function play(
  request: JobRequest,
  tree: Tree,
  told: JobListener,
  ends: Ends,
  script: FakeScript,
  archives: Map<string, ReadonlyMap<string, string>>,
): Promise<JobResult> {
  const signal = ends.cancel;
  const limit = AbortSignal.timeout(request.timeoutMs);
  const stop = AbortSignal.any([signal, limit, ends.leave]);
  const listener: Pick<JobListener, 'log' | 'step'> = {
    log: (bytes) => ends.leave.aborted || told.log(bytes),
    step: (step) => ends.leave.aborted || told.step(step),
  };
  const files = new Map(request.inputs.flatMap((ref) => [...(archives.get(ref) ?? [])]));
  const outcome = await playSteps(request, { request, tree, files, signal: stop }, listener, script, () => {
    if (signal.aborted) return { kind: 'cancelled', reason: messageOf(signal.reason) };
    if (!limit.aborted) return null;
    return { kind: 'timed_out', reason: `The job was stopped at its time limit of ${request.timeoutMs / 1000} s.` };
  });
  const reports = new Map([...files].filter(([path]) => request.reports.some((pattern) => matches(pattern, path))));
  const kept = new Map([...files].filter(([path]) => request.artifacts.some((pattern) => matches(pattern, path))));
  if (outcome.kind !== 'success' || kept.size === 0) return { outcome, artifacts: null, reports };
  const ref = `${request.jobId}-${request.attempt}.tar`;
  archives.set(ref, kept);
  return { outcome, artifacts: ref, reports };
}

async function playSteps(
  request: JobRequest,
  surroundings: Omit<FakeStep, 'write'>,
  listener: Pick<JobListener, 'log' | 'step'>,
  script: FakeScript,
  stopped: () => Outcome | null,
): Promise<Outcome> {
  const write = (text: string) => {
    listener.log(Buffer.from(maskText(text, request.secrets)));
  };
  for (const [index, step] of request.steps.entries()) {
    const early = stopped();
    if (early) return early;
    listener.step({ kind: 'started', index, at: Date.now() });
    write(`$ ${step.script}\n`);
    let exitCode = 1;
    try {
      exitCode = await untilStopped(
        Promise.resolve(script(step.script, { ...surroundings, write })),
        surroundings.signal,
      );
    } catch (error) {
      if (!stopped()) throw error;
      exitCode = 143;
    }
    listener.step({ kind: 'finished', index, at: Date.now(), exitCode });
    const late = stopped();
    if (late) return late;
    if (exitCode !== 0) return { kind: 'failure', reason: `Step "${step.name}" failed with exit code ${exitCode}.` };
  }
  return success;
}

function untilStopped(code: Promise<number>, signal: AbortSignal): Promise<number> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(new Error('the job was stopped'));
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    code.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

function matches(pattern: string, path: string): boolean {
  return pattern.endsWith('/**') ? path.startsWith(pattern.slice(0, -2)) : path === pattern;
}

function messageOf(reason: unknown): string {
  return reason instanceof Error ? reason.message : String(reason);
}
