import { isStrange } from '#src/model/trust.ts';
import { createAnnotator } from '#src/model/annotations/index.ts';
import { fullName } from '#src/model/repository.ts';
import type { ScriptWork } from '#src/model/plan.ts';
import type { Job, Run } from '#src/model/run.ts';
import { maskText } from '#src/model/mask.ts';
import { jobEnvironment } from '#src/planner/environment.ts';
import { accessFor, cutOffNote } from './access.ts';
import { BegunElsewhere } from './errors.ts';
import { inputsOf } from './inputs.ts';
import { hiddenOf, secretsFor } from './job-secrets.ts';
import { maskCompletion, maskError } from './masked.ts';
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
    // Reports are read as the job wrote them. Hidden before, as what is found in them is cut, and after, as it is decoded.
    const reports = new Map(
      [...result.reports].map(([path, text]) => [maskText(path, track.hidden), maskText(text, track.hidden)]),
    );
    const found = await annotator.end(reports);
    return maskCompletion({ outcome: result.outcome, artifacts: result.artifacts, ...found }, track.hidden);
  } catch (thrown) {
    const error = maskError(thrown, track.hidden);
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
  const hidden = await hiddenOf(parts, run, job);
  track.hide(hidden);
  const allowed = accessFor(parts, run, work);
  const request = requestOf(parts, run, job, work, { ...allowed, inputs: [], given: [], secrets: hidden });
  return await parts.executor.attach(request, track.listener, ends);
}

async function begin(
  parts: Parts,
  run: Run,
  work: ScriptWork,
  { job, ends }: Assignment,
  track: Track,
): Promise<JobResult> {
  await track.anew();
  const allowed = accessFor(parts, run, work);
  const { given, hidden, notes } = await secretsFor(parts, run, job);
  track.hide(hidden);
  for (const note of [...notes, cutOffNote(parts, run)]) if (note !== null) track.say(note);
  const signal = AbortSignal.any([ends.cancel, ends.leave]);
  // The checkout runs while the container starts; whoever awaits it first sees its error.
  const tree = parts.source.tree(run.repository, { sha: run.trigger.sha, ref: run.trigger.ref }, signal);
  tree.catch(() => {});
  try {
    const inputs = await inputsOf(parts, run, job);
    const request = requestOf(parts, run, job, work, { ...allowed, inputs, given, secrets: hidden });
    return await parts.executor.run(request, tree, track.listener, ends);
  } finally {
    // The container may still be dying, but its results are taken: what becomes of the tree matters to nobody.
    void tree.then((t) => t[Symbol.asyncDispose]()).catch(() => {});
  }
}

type Own = Pick<JobRequest, 'inputs' | 'given' | 'secrets' | 'access' | 'runtime' | 'docker'>;

function requestOf(parts: Parts, run: Run, job: Job, work: ScriptWork, own: Own): JobRequest {
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
    services: work.services,
    artifacts: work.artifacts,
    reports: work.reports.junit,
    timeoutMs: job.plan.timeoutMinutes * 60_000,
    trusted: !isStrange(run),
    ...own,
  };
}
