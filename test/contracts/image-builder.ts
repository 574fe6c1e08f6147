import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { BuildRequest, ImageBuilder, JobListener, StepChange, Tree } from '#src/engine/ports.ts';
import { PlatformError } from '#src/model/outcome.ts';

/**
 * `good` prints "the word is <secret>" and pushes to a registry that takes it; `broken` has an instruction that fails;
 * `endless` one that never ends; `refused` pushes to a registry that says no, `unreachable` to one that isn't there.
 */
export type BuildKind = 'good' | 'broken' | 'endless' | 'refused' | 'unreachable';

export interface BuilderUnderTest {
  readonly builder: ImageBuilder;
  /** The repository of images to push to. */
  image(kind: BuildKind): string;
  /** A folder with the Dockerfile. */
  tree(kind: BuildKind): Promise<Tree>;
  close(): Promise<void>;
}

/** What every ImageBuilder must do. */
export function imageBuilderContract(name: string, make: (secret: string) => Promise<BuilderUnderTest>): void {
  describe(`${name} is an ImageBuilder`, () => {
    const secret = 'swordfish-4711';
    let under: BuilderUnderTest;
    beforeAll(async () => {
      under = await make(secret);
    }, 60_000);
    afterAll(() => under.close());

    function start(kind: BuildKind, tags: readonly string[], signal: AbortSignal, timeoutMs = 60_000, built?: string) {
      const record = recorder();
      const request: BuildRequest = {
        jobId: kind,
        repository: 'acme/shop',
        build: { context: '.', dockerfile: 'Dockerfile', image: under.image(kind), target: null, args: {} },
        tags,
        inputs: [],
        secrets: [secret],
        labels: { 'org.opencontainers.image.revision': 'abc' },
        timeoutMs,
        trusted: true,
        given: {},
        ...(built === undefined ? {} : { built }),
      };
      return { record, result: under.builder.build(request, under.tree(kind), record, signal) };
    }
    const never = new AbortController().signal;

    it('builds without pushing', async () => {
      const { record, result } = start('good', [], never);
      expect(await result).toEqual({ outcome: { kind: 'success' }, image: null });
      expect(record.changes).toEqual(['started 0', 'finished 0: 0']);
    });

    it('pushes every tag and answers with the digest', async () => {
      const { record, result } = start('good', ['v1', 'latest'], never);
      const { outcome, image } = await result;
      expect(outcome).toEqual({ kind: 'success' });
      expect(image).toMatch(/^\S+@sha256:[0-9a-f]{64}$/);
      expect(image?.startsWith(`${under.image('good')}@`)).toBe(true);
      expect(record.changes).toEqual([
        'started 0',
        'finished 0: 0',
        'started 1',
        'finished 1: 0',
        'started 2',
        'finished 2: 0',
      ]);
    });

    it('gives an image that was built before another tag, and builds nothing', async () => {
      const first = await start('good', ['v1'], never).result;
      const { record, result } = start('good', ['v2'], never, 60_000, first.image ?? '');
      expect(await result).toEqual(first);
      expect(record.changes).toEqual(['started 0', 'finished 0: 0', 'started 1', 'finished 1: 0']);
      expect(record.text()).not.toContain('the word is');
    });

    it('keeps secrets out of the log', async () => {
      const { record, result } = start('good', [], never);
      await result;
      expect(record.text()).toContain('the word is ***');
      expect(record.text()).not.toContain(secret);
    });

    it("tells the author's failure as an outcome and pushes nothing", async () => {
      const { record, result } = start('broken', ['v1'], never);
      const { outcome, image } = await result;
      expect(outcome).toMatchObject({ kind: 'failure', reason: expect.stringContaining('Dockerfile') });
      expect(image).toBeNull();
      expect(record.changes).toEqual(['started 0', 'finished 0: 1']);
    });

    it('tells that the registry refused, as an outcome', async () => {
      const { record, result } = start('refused', ['v1', 'v2'], never);
      expect((await result).outcome).toMatchObject({ kind: 'failure', reason: expect.stringMatching(/registry/i) });
      expect(record.changes).toEqual(['started 0', 'finished 0: 0', 'started 1', 'finished 1: 1']);
    });

    it("throws the platform's failure", async () => {
      const { result } = start('unreachable', ['v1'], never);
      await expect(result).rejects.toBeInstanceOf(PlatformError);
    });

    it('is stopped with the reason', async () => {
      const controller = new AbortController();
      const { record, result } = start('endless', [], controller.signal);
      await record.firstLine;
      controller.abort(new Error('Cancelled by mona'));
      expect(await result).toEqual({ outcome: { kind: 'cancelled', reason: 'Cancelled by mona' }, image: null });
      expect(record.changes).toEqual(['started 0', 'finished 0: 1']);
    });

    it('ends after its time', async () => {
      const { result } = start('endless', [], never, 500);
      expect((await result).outcome).toMatchObject({ kind: 'timed_out' });
    });
  });
}

interface Recorder extends JobListener {
  readonly changes: string[];
  /** Resolves when something was logged. */
  readonly firstLine: Promise<void>;
  text(): string;
}

function recorder(): Recorder {
  const { promise: firstLine, resolve } = Promise.withResolvers<void>();
  const chunks: Buffer[] = [];
  const changes: string[] = [];
  return {
    changes,
    firstLine,
    text: () => Buffer.concat(chunks).toString(),
    begin: () => 0,
    rewind: async () => {},
    log(bytes) {
      chunks.push(bytes);
      resolve();
    },
    step(change: StepChange) {
      changes.push(
        change.kind === 'started' ? `started ${change.index}` : `finished ${change.index}: ${change.exitCode}`,
      );
    },
  };
}
