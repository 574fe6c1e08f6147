import { isStrange } from '#src/model/trust.ts';
import { createAnnotator } from '#src/model/annotations/index.ts';
import { fullName } from '#src/model/repository.ts';
import type { ScriptWork } from '#src/model/plan.ts';
import type { Job, Run } from '#src/model/run.ts';
import { jobEnvironment } from '#src/planner/environment.ts';
import { BegunElsewhere } from './errors.ts';
import { inputsOf } from './inputs.ts';
import type { Assignment, Parts } from './parts.ts';
import type { JobRequest, JobResult } from './ports.ts';
import { type Completion, type Track, trackJob } from './track.ts';

/**
 * Runs a script job in a container, or goes on with one that an earlier process began, and reads remarks and test
 * results out of what it leaves.
 */
export async function runScript(parts: Parts, run: Run, work: ScriptWork, given: Assignment): Promise<Completion> {
  const { job } = given;
  const annotator = createAnnotator(work.workdir === null ? {} : { workdir: work.workdir });
  const track = await trackJob(
    parts,
    job,
    work.steps.map((step) => step.name),
    (bytes) => annotator.push(bytes),
    given.lost,
  );
  const cancel = AbortSignal.any([given.ends.cancel, track.failed]);
  const assignment: Assignment = { ...given, ends: { ...given.ends, cancel } };
  try {
    const result =
      (assignment.inherited ? await attach(parts, run, work, assignment, track) : null) ??
      (await begin(parts, run, work, assignment, track));
    const found = await annotator.end(result.reports);
    return { outcome: result.outcome, artifacts: result.artifacts, ...found };
  } catch (error) {
    const silent = assignment.ends.leave.aborted || error instanceof BegunElsewhere;
    if (!silent && (await track.holds())) {
      track.say(`\nSlipway: ${error instanceof Error ? error.message : String(error)}`);
    }
    throw error;
  } finally {
    await track.close();
  }
}

async function attach(
  parts: Parts,
  run: Run,
  work: ScriptWork,
  { job, ends }: Assignment,
  track: Track,
): Promise<JobResult | null> {
  return await parts.executor.attach(requestOf(parts, run, job, work, []), track.listener, ends);
}

async function begin(
  parts: Parts,
  run: Run,
  work: ScriptWork,
  { job, ends }: Assignment,
  track: Track,
): Promise<JobResult> {
  await track.anew();
  const signal = AbortSignal.any([ends.cancel, ends.leave]);
  // The checkout runs while the container starts; whoever awaits it first sees its error.
  const tree = parts.source.tree(run.repository, { sha: run.trigger.sha, ref: run.trigger.ref }, signal);
  tree.catch(() => {});
  try {
    const request = requestOf(parts, run, job, work, await inputsOf(parts, run, job));
    return await parts.executor.run(request, tree, track.listener, ends);
  } finally {
    // The container may still be dying, but its results are taken: what becomes of the tree matters to nobody.
    void tree.then((t) => t[Symbol.asyncDispose]()).catch(() => {});
  }
}

function requestOf(parts: Parts, run: Run, job: Job, work: ScriptWork, inputs: JobRequest['inputs']): JobRequest {
  return {
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
    inputs,
    timeoutMs: job.plan.timeoutMinutes * 60_000,
    trusted: !isStrange(run),
    given: [],
    access: work.access ?? { privileged: false, network: 'private', devices: [], volumes: [] },
    runtime: null,
    docker: null,
  };
}
