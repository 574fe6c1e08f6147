import { isDeepStrictEqual } from 'node:util';
import { isStrange } from '#src/model/trust.ts';
import type { ImageWork, Work } from '#src/model/plan.ts';
import { fullName } from '#src/model/repository.ts';
import type { Job, Run } from '#src/model/run.ts';
import { cutOffNote } from './access.ts';
import { inputsOf, trustedRuns } from './inputs.ts';
import { secretsFor } from './job-secrets.ts';
import { maskCompletion, maskError } from './masked.ts';
import type { Assignment, Parts } from './parts.ts';
import { type Completion, trackJob } from './track.ts';

/**
 * Builds an image, pushes it where the plan says so, and records the digest for the commit. What an earlier process left
 * half-way is built again: the layers that it finished are in the engine's cache.
 */
export async function runImage(parts: Parts, run: Run, work: ImageWork, assignment: Assignment): Promise<Completion> {
  const { job, ends } = assignment;
  const { repository, trigger } = run;
  if (work.tags.length > 0 && work.build.image !== null) {
    const refusal = parts.policy.refusePush(repository, work.build.image);
    if (refusal !== null) return { outcome: { kind: 'failure', reason: refusal } };
  }
  const steps = ['build', ...work.tags.map((tag) => `push ${tag}`)];
  const track = await trackJob(parts, job, steps, () => {}, assignment.lost);
  const signal = AbortSignal.any([ends.cancel, ends.leave, track.failed]);
  const tree = parts.source.tree(repository, { sha: trigger.sha, ref: trigger.ref }, signal);
  tree.catch(() => {});
  try {
    await track.anew();
    const { byId, hidden, notes } = await secretsFor(parts, run, job);
    track.hide(hidden);
    const cutOff = cutOffNote(parts, run);
    const built = await builtBefore(parts, run, work, assignment.job);
    for (const note of [...notes, cutOff]) if (note !== null) track.say(note);
    if (assignment.inherited) track.say('Slipway: the server was restarted; the image is built again.');
    const { outcome, image } = await parts.builder.build(
      {
        jobId: job.id,
        repository: fullName(repository),
        build: work.build,
        tags: work.tags,
        inputs: await inputsOf(parts, run, job),
        secrets: hidden,
        labels: {
          'org.opencontainers.image.revision': trigger.sha,
          'org.opencontainers.image.source': repository.cloneUrl.replace(/\.git$/, ''),
        },
        timeoutMs: job.plan.timeoutMinutes * 60_000,
        trusted: !isStrange(run),
        given: byId,
        ...(built === null ? {} : { built }),
        ...(cutOff === null ? {} : { network: 'none' }),
      },
      tree,
      track.listener,
      signal,
    );
    if (outcome.kind === 'success' && image !== null) {
      await parts.store.images.record({
        repositoryId: repository.id,
        sha: trigger.sha,
        job: job.plan.id,
        image,
        tags: work.tags,
        at: parts.clock.now(),
      });
    }
    return maskCompletion({ outcome }, track.hidden);
  } catch (thrown) {
    const error = maskError(thrown, track.hidden);
    if (!ends.leave.aborted) track.say(`\nSlipway: ${error instanceof Error ? error.message : String(error)}`);
    throw error;
  } finally {
    await track.close();
    void tree.then((t) => t[Symbol.asyncDispose]()).catch(() => {});
  }
}

/**
 * The image that trusted people's runs built of this commit last, if it was built by the same words (a matrix or an argument
 * may differ): a tag on a commit that was built gives it a name, and doesn't build another. Whoever re-runs the job wants it built.
 */
async function builtBefore(parts: Parts, run: Run, work: ImageWork, job: Job): Promise<string | null> {
  if (work.tags.length === 0 || isStrange(run) || job.earlier.some((attempt) => attempt.by === 'person')) return null;
  const known = await parts.store.images.find(run.repository.id, run.trigger.sha, job.plan.id);
  if (known === null) return null;
  const builds = (await trustedRuns(parts, run))
    .flatMap((view) => view.jobs)
    .filter((it) => it.plan.id === job.plan.id && it.outcome?.kind === 'success' && tagsOf(it.plan.work).length > 0);
  const last = builds.toSorted((a, b) => (a.finishedAt ?? 0) - (b.finishedAt ?? 0)).at(-1)?.plan.work;
  return last?.kind === 'image' && isDeepStrictEqual(last.build, work.build) ? known.image : null;
}

function tagsOf(work: Work): readonly string[] {
  return work.kind === 'image' ? work.tags : [];
}
