import { isStrangers } from '#src/model/event.ts';
import { createAnnotator } from '#src/model/annotations/index.ts';
import { fullName } from '#src/model/repository.ts';
import type { ScriptWork } from '#src/model/plan.ts';
import type { Job, Run } from '#src/model/run.ts';
import { jobEnvironment } from '#src/planner/environment.ts';
import { inputsOf } from './inputs.ts';
import type { Parts } from './parts.ts';
import { type Completion, trackJob } from './track.ts';

/** Runs a script job in a container and reads remarks and test results out of what it leaves. */
export async function runScript(
  parts: Parts,
  run: Run,
  job: Job,
  work: ScriptWork,
  signal: AbortSignal,
): Promise<Completion> {
  const annotator = createAnnotator(work.workdir === null ? {} : { workdir: work.workdir });
  // The checkout runs while the container starts; whoever awaits it first sees its error.
  const tree = parts.source.tree(run.repository, { sha: run.trigger.sha, ref: run.trigger.ref }, signal);
  tree.catch(() => {});
  const track = await trackJob(
    parts,
    job,
    work.steps.map((step) => step.name),
    (bytes) => annotator.push(bytes),
  );
  try {
    const result = await parts.executor.run(
      {
        jobId: job.id,
        runId: run.id,
        attempt: job.attempt,
        repository: fullName(run.repository),
        key: job.plan.key,
        image: work.image,
        shell: work.shell,
        workdir: work.workdir,
        steps: work.steps,
        env: { ...work.env, ...jobEnvironment({ run, job, url: parts.runUrl(run) }) },
        secrets: parts.limits.secrets,
        services: work.services,
        artifacts: work.artifacts,
        reports: work.reports.junit,
        inputs: await inputsOf(parts, run, job),
        timeoutMs: job.plan.timeoutMinutes * 60_000,
        trusted: !isStrangers(run.trigger),
      },
      tree,
      track.listener,
      signal,
    );
    const found = await annotator.end(result.reports);
    return { outcome: result.outcome, artifacts: result.artifacts, ...found };
  } catch (error) {
    track.say(`\nSlipway: ${error instanceof Error ? error.message : String(error)}`);
    throw error;
  } finally {
    await track.close();
    // The container may still be dying, but its results are taken: what becomes of the tree matters to nobody.
    void tree.then((t) => t[Symbol.asyncDispose]()).catch(() => {});
  }
}
