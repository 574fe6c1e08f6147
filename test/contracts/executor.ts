import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Ends, Executor, JobListener, JobRequest, JobResult, StepChange, Tree } from '#src/engine/ports.ts';
import { PlatformError, UserError } from '#src/model/outcome.ts';

export interface ExecutorUnderTest {
  readonly executor: Executor;
  /** An image with a shell. */
  readonly image: string;
  /** A tree with the file `hello.txt` ("hello from the tree"). */
  readonly tree: Tree;
  /** An executor of the same kind whose platform is down. */
  readonly down: Executor;
  dispose(): Promise<void>;
}

/** What a listener was told, in order: bytes as text, steps as they came. Bytes that a rewind took back are gone. */
export interface Told {
  readonly listener: JobListener;
  readonly events: (string | StepChange)[];
  log(): string;
  /** Resolves once the log holds the text. */
  shows(text: string): Promise<void>;
}

/** `stored`: what the log holds already, from another process. */
export function told(stored = ''): Told {
  const events: (string | StepChange)[] = stored === '' ? [] : [stored];
  const waiting = new Set<() => void>();
  const log = () => events.filter((event) => typeof event === 'string').join('');
  return {
    events,
    log,
    listener: {
      begin: () => log().length,
      async rewind(begun) {
        const kept = log().slice(0, begun);
        events.splice(0, events.length, ...(kept === '' ? [] : [kept]));
      },
      log(bytes) {
        events.push(bytes.toString('latin1'));
        for (const check of waiting) check();
      },
      step: (step) => void events.push(step),
    },
    shows: (text) =>
      new Promise((resolve) => {
        const check = () => {
          if (!log().includes(text)) return;
          waiting.delete(check);
          resolve();
        };
        waiting.add(check);
        check();
      }),
  };
}

let count = 0;

/** A job of these steps. Ids are never used twice. */
export function jobRequest(steps: readonly string[], more: Partial<JobRequest> = {}): JobRequest {
  return {
    jobId: `job-${process.pid}-${++count}`,
    runId: 'run-1',
    attempt: 1,
    repository: 'acme/shop',
    key: 'test',
    image: 'unset',
    shell: 'sh',
    workdir: null,
    steps: steps.map((script, index) => ({ name: `step ${index + 1}`, script })),
    env: {},
    secrets: [],
    services: [],
    artifacts: [],
    reports: [],
    inputs: [],
    timeoutMs: 60_000,
    trusted: true,
    given: [],
    access: { privileged: false, network: 'private', devices: [], volumes: [] },
    runtime: null,
    docker: null,
    ...more,
  };
}

const silent = new AbortController().signal;
/** Neither cancelled nor left. */
export const never: Ends = { cancel: silent, leave: silent };
export const cancelBy = (cancel: AbortSignal): Ends => ({ cancel, leave: silent });
export const leaveBy = (leave: AbortSignal): Ends => ({ cancel: silent, leave });

/**
 * What every Executor must do. Steps are of a few kinds, so that a fake can play them: `echo TEXT`, `exit N`,
 * `sleep N`, `cat FILE`, `echo TEXT > FILE`.
 */
export function executorContract(name: string, make: () => Promise<ExecutorUnderTest>): void {
  describe(`${name} as an executor`, () => {
    let test: ExecutorUnderTest;
    beforeAll(async () => {
      test = await make();
    });
    afterAll(() => test.dispose());

    function run(request: JobRequest, teller = told(), ends: Ends = never): Promise<JobResult> {
      return test.executor.run({ ...request, image: test.image }, Promise.resolve(test.tree), teller.listener, ends);
    }

    it('runs the steps in order and tells of each before and after its output', async () => {
      const teller = told();
      const result = await run(jobRequest(['echo one', 'echo two']), teller);
      expect(result.outcome).toEqual({ kind: 'success' });
      expect(shape(teller.events)).toEqual([
        'started 0',
        '$ echo one\none\n',
        'finished 0 with 0',
        'started 1',
        '$ echo two\ntwo\n',
        'finished 1 with 0',
      ]);
    });

    it('ends at the first step that fails, with its exit code', async () => {
      const teller = told();
      const result = await run(jobRequest(['echo one', 'exit 3', 'echo never']), teller);
      expect(result.outcome).toMatchObject({ kind: 'failure', reason: expect.stringContaining('exit code 3') });
      expect(result.outcome).toMatchObject({ reason: expect.stringContaining('step 2') });
      expect(shape(teller.events).filter((event) => !event.startsWith('$'))).toEqual([
        'started 0',
        'finished 0 with 0',
        'started 1',
        'finished 1 with 3',
      ]);
      expect(teller.log()).not.toContain('never');
    });

    it('gives the job the files of the tree', async () => {
      const teller = told();
      await run(jobRequest(['cat hello.txt']), teller);
      expect(teller.log()).toContain('hello from the tree');
    });

    it('hides secrets', async () => {
      const teller = told();
      await run(jobRequest(['echo password hunter22 end'], { secrets: ['hunter22'] }), teller);
      expect(teller.log()).toContain('password *** end\n');
      expect(teller.log()).not.toContain('hunter22');
    });

    it('hands artifacts from one job to the next', async () => {
      const first = await run(jobRequest(['echo made > made.txt'], { artifacts: ['made.txt'] }));
      expect(first.artifacts).toEqual(expect.any(String));
      const teller = told();
      await run(jobRequest(['cat made.txt'], { inputs: first.artifacts ? [first.artifacts] : [] }), teller);
      expect(teller.log()).toContain('made\n');
    });

    it('keeps no artifacts of a failed job, but its reports', async () => {
      const steps = ['echo report > report.xml', 'exit 1'];
      const result = await run(jobRequest(steps, { artifacts: ['report.xml'], reports: ['report.xml'] }));
      expect(result.artifacts).toBeNull();
      expect([...result.reports]).toEqual([['report.xml', 'report\n']]);
    });

    it('stops a job that is cancelled and gives the reason', async () => {
      const stop = new AbortController();
      const teller = told();
      const running = run(jobRequest(['echo begun', 'sleep 60']), teller, cancelBy(stop.signal));
      await Promise.race([teller.shows('$ sleep 60'), running]);
      stop.abort(new Error('superseded by a newer commit'));
      expect((await running).outcome).toEqual({ kind: 'cancelled', reason: 'superseded by a newer commit' });
      expect(shape(teller.events).at(-1)).toMatch(/^finished 1 with /);
    });

    it('runs nothing of a job that was cancelled before', async () => {
      const teller = told();
      const result = await run(
        jobRequest(['echo never']),
        teller,
        cancelBy(AbortSignal.abort(new Error('not wanted'))),
      );
      expect(result.outcome).toEqual({ kind: 'cancelled', reason: 'not wanted' });
      expect(teller.log()).not.toContain('never');
    });

    it('stops a job at its time limit', async () => {
      const result = await run(jobRequest(['sleep 60'], { timeoutMs: 1500 }));
      expect(result.outcome).toMatchObject({ kind: 'timed_out', reason: expect.stringContaining('1.5 s') });
    });

    it('leaves a job that has begun, and goes on with it from its first byte', async () => {
      const server = new AbortController();
      const request = { ...jobRequest(['echo one', 'sleep 1', 'echo two']), image: test.image };
      const first = told('Pulling\n');
      const running = run(request, first, leaveBy(server.signal));
      await Promise.race([first.shows('$ sleep 1'), running]);
      server.abort(new Error('the server ends'));
      await expect(running).rejects.toThrow('the server ends');
      const second = told(first.log());
      const result = await test.executor.attach(request, second.listener, never);
      expect(result?.outcome).toEqual({ kind: 'success' });
      expect(second.log()).toBe('Pulling\n$ echo one\none\n$ sleep 1\n$ echo two\ntwo\n');
      expect(shape(second.events).filter((event) => /^(started|finished)/.test(event))).toEqual(
        [0, 1, 2].flatMap((index) => [`started ${index}`, `finished ${index} with 0`]),
      );
    });

    it('leaves nothing of a job that has not begun, and has nothing to go on with', async () => {
      const server = new AbortController();
      const request = { ...jobRequest(['echo never']), image: test.image };
      const tree = Promise.withResolvers<Tree>();
      const running = test.executor.run(request, tree.promise, told().listener, leaveBy(server.signal));
      server.abort(new Error('the server ends'));
      await expect(running).rejects.toThrow('the server ends');
      expect(await test.executor.attach(request, told().listener, never)).toBeNull();
    });

    it('stops a job of another process, and knows none that never was', async () => {
      const request = { ...jobRequest(['echo one', 'sleep 60']), image: test.image };
      expect(await test.executor.attach(request, told().listener, never)).toBeNull();
      const server = new AbortController();
      const first = told();
      const running = run(request, first, leaveBy(server.signal));
      await Promise.race([first.shows('$ sleep 60'), running]);
      server.abort(new Error('the server ends'));
      await expect(running).rejects.toThrow('the server ends');
      const stop = new AbortController();
      const second = told(first.log());
      const following = test.executor.attach(request, second.listener, cancelBy(stop.signal));
      await Promise.race([second.shows('$ sleep 60'), following]);
      stop.abort(new Error('cancelled by somebody'));
      expect((await following)?.outcome).toEqual({ kind: 'cancelled', reason: 'cancelled by somebody' });
    });

    it('names its engine', async () => {
      expect(await test.executor.engine()).toMatch(/./);
      expect(await test.executor.engine()).toBe(await test.executor.engine());
      await expect(test.down.engine()).rejects.toBeInstanceOf(PlatformError);
    });

    it("throws the tree's failure", async () => {
      const tree = Promise.reject(new PlatformError('GitHub is down'));
      const request = { ...jobRequest(['echo never']), image: test.image };
      await expect(test.executor.run(request, tree, told().listener, never)).rejects.toThrow('GitHub is down');
    });

    it('throws when the platform is down, and says so when asked', async () => {
      const request = { ...jobRequest(['echo never']), image: test.image };
      const running = test.down.run(request, Promise.resolve(test.tree), told().listener, never);
      await expect(running).rejects.toBeInstanceOf(PlatformError);
      await expect(test.down.ping()).rejects.toBeInstanceOf(PlatformError);
      await expect(test.executor.ping()).resolves.toBeUndefined();
    });

    it("takes the tree's mistake for the user's", async () => {
      const tree = Promise.reject(new UserError('There is no such commit.'));
      const request = { ...jobRequest(['echo never']), image: test.image };
      const { outcome } = await test.executor.run(request, tree, told().listener, never);
      expect(outcome).toEqual({ kind: 'failure', reason: 'There is no such commit.' });
    });
  });
}

/** Steps as words, and neighbouring bytes as one text. */
function shape(events: readonly (string | StepChange)[]): readonly string[] {
  const result: string[] = [];
  let open = false;
  for (const event of events) {
    if (typeof event !== 'string') {
      result.push(
        event.kind === 'started' ? `started ${event.index}` : `finished ${event.index} with ${event.exitCode}`,
      );
      open = false;
    } else if (open) result.push(`${result.pop() ?? ''}${event}`);
    else {
      result.push(event);
      open = true;
    }
  }
  return result;
}
