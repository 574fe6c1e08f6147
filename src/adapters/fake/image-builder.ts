import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { BuildRequest, ImageBuilder, JobListener, Tree } from '#src/engine/ports.ts';
import { createMasker } from '#src/model/mask.ts';
import { PlatformError, success } from '#src/model/outcome.ts';

/** What becomes of a build. Without any of these it succeeds. */
export interface FakeBuild {
  readonly log?: string;
  /** Why the Dockerfile can't be built. */
  readonly failure?: string;
  /** Why the registry says no. */
  readonly refused?: string;
  /** The registry doesn't answer. */
  readonly unreachable?: boolean;
  /** Never ends by itself. */
  readonly endless?: boolean;
}

/** A scripted image builder: nothing is built, and the digest is made of the request. */
export class FakeImageBuilder implements ImageBuilder {
  /** What was asked for, in order. */
  readonly requests: BuildRequest[] = [];
  readonly #behave: (request: BuildRequest) => FakeBuild;

  constructor(behave: (request: BuildRequest) => FakeBuild = () => ({})) {
    this.#behave = behave;
  }

  async build(
    request: BuildRequest,
    tree: Promise<Tree>,
    listener: JobListener,
    signal: AbortSignal,
  ): ReturnType<ImageBuilder['build']> {
    this.requests.push(request);
    const behaviour = this.#behave(request);
    await tree;
    const masker = createMasker(request.secrets);
    const say = (text: string) => listener.log(masker.push(Buffer.from(`${text}\n`)));
    const start = (index: number) => listener.step({ kind: 'started', index, at: Date.now() });
    const finish = (index: number, exitCode: number) =>
      listener.step({ kind: 'finished', index, at: Date.now(), exitCode });

    start(0);
    say(request.built ? 'Built before.' : (behaviour.log ?? '#1 [1/1] FROM scratch'));
    listener.log(masker.flush());
    if (behaviour.endless) {
      const timeout = AbortSignal.timeout(request.timeoutMs);
      const either = AbortSignal.any([signal, timeout]);
      if (!either.aborted) await once(either, 'abort');
      finish(0, 1);
      return signal.aborted
        ? { outcome: { kind: 'cancelled', reason: (signal.reason as Error).message }, image: null }
        : { outcome: { kind: 'timed_out', reason: 'The image took too long.' }, image: null };
    }
    finish(0, behaviour.failure ? 1 : 0);
    if (behaviour.failure) return { outcome: { kind: 'failure', reason: behaviour.failure }, image: null };

    const digest = createHash('sha256').update(JSON.stringify(request.build)).update(request.repository).digest('hex');
    for (const index of request.tags.keys()) {
      start(index + 1);
      finish(index + 1, behaviour.refused || behaviour.unreachable ? 1 : 0);
      if (behaviour.unreachable) throw new PlatformError("The registry can't be reached.");
      if (behaviour.refused) return { outcome: { kind: 'failure', reason: behaviour.refused }, image: null };
    }
    if (request.built !== undefined) return { outcome: success, image: request.built };
    return { outcome: success, image: request.tags.length > 0 ? `${request.build.image}@sha256:${digest}` : null };
  }
}
