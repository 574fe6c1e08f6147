import { EvaluationError, type Value } from '#src/model/evaluate.ts';
import { type DeployTrigger, isAdded, type PullRequestTrigger, type Trigger } from '#src/model/event.ts';
import { eventContext } from '#src/model/expression.ts';
import { expandMatrix } from '#src/model/matrix.ts';
import type { EnvironmentSpec, Pipeline } from '#src/model/pipeline.ts';
import type { Plan, PlannedJob } from '#src/model/plan.ts';
import type { Repository } from '#src/model/repository.ts';
import { comesFromFork } from '#src/model/trust.ts';
import { checkJobs, checksOf } from './checks.ts';
import { refuseOwnGroup, runConcurrency } from './concurrency.ts';
import { chooseForDeploy, deployJobs, matchingEnvironments, refuseDeploy } from './deploy.ts';
import { planInstances } from './instances.ts';
import { withPriorities } from './priority.ts';
import { addedImages, PLAN_KEY, PREVIEW_KEY, type PreviewPlan, planJob, previewJob } from './pull-request.ts';
import { skipRequest } from './skip-ci.ts';
import { imageTags } from './tags.ts';

export interface PlanOptions {
  /** The head commit's whole message, for [skip ci]; '' if it isn't known. */
  readonly message: string;
  /**
   * Keys of jobs that already succeeded at this commit, and of image jobs whose image exists. A `/deploy` leaves
   * them out; everything else runs them again.
   */
  readonly done: ReadonlySet<string>;
  /** The commit is a stranger's (see model/trust.ts); if it isn't said, every fork's is. */
  readonly strange?: boolean;
  /** The pull request's own file asks for a preview. */
  readonly preview?: PreviewPlan | null;
  /** The pull request's own file has environments: its check runs say what a deployment would change. */
  readonly showsPlan?: boolean;
  /** Environments that the plan offers to deploy to, in this order. */
  readonly offers?: readonly string[];
}

/** `refused`: what was asked for can't be; the message says why and what to do. */
export type Planned =
  | { readonly kind: 'plan'; readonly plan: Plan }
  | { readonly kind: 'refused'; readonly message: string };

/** Limits of one plan: files come from strangers, and each instance of a matrix carries its script. */
const MAX_JOBS = 500;
const MAX_CHARACTERS = 8_000_000;
const MAX_EXPRESSIONS = 20_000;

/**
 * What an event makes of a pipeline: every instance of every job with its templates filled in, why some don't run,
 * and the deployments. Pure.
 */
export function plan(pipeline: Pipeline, trigger: Trigger, repository: Repository, options: PlanOptions): Planned {
  const problem = refuseDeploy(pipeline, trigger);
  if (problem !== null) return { kind: 'refused', message: problem };
  const tooMuch = problemOfSize(pipeline);
  if (tooMuch !== null) return { kind: 'refused', message: tooMuch };
  try {
    const jobs = planJobs(pipeline, trigger, repository, options);
    const size = jobs.reduce((sum, job) => sum + JSON.stringify(job.work).length, 0);
    if (size > MAX_CHARACTERS) return { kind: 'refused', message: tooLarge(`${size} characters`, MAX_CHARACTERS) };
    const concurrency = runConcurrency(
      // The push's run has the group: the two would wait for each other, or one would end the other.
      isAdded(trigger) ? null : pipeline.concurrency,
      eventContext(trigger, repository),
      trigger,
      options.strange,
    );
    refuseOwnGroup(concurrency, jobs);
    return { kind: 'plan', plan: { jobs, concurrency } };
  } catch (error) {
    if (error instanceof EvaluationError) return { kind: 'refused', message: error.message };
    throw error;
  }
}

function planJobs(
  pipeline: Pipeline,
  trigger: Trigger,
  repository: Repository,
  options: PlanOptions,
): readonly PlannedJob[] {
  const event: Value = eventContext(trigger, repository);
  const environments = matchingEnvironments(pipeline, trigger);
  const checks = checksOf(environments);
  const added = addedTo(trigger, options);
  const all = planInstances(pipeline.jobs, {
    trigger,
    event,
    tagsOf: (id) => imageTags(trigger, goesTo(id, environments, added.preview)),
    deployed: environments.map((environment) => environment.name),
    reserved: [
      ...environments.map((environment) => `deploy ${environment.name}`),
      ...checks.map((check) => check.key),
      ...(added.preview ? [PREVIEW_KEY] : []),
      ...(added.plan ? [PLAN_KEY] : []),
    ],
    room: { left: MAX_CHARACTERS, message: tooLarge(`more than ${MAX_CHARACTERS} characters`, MAX_CHARACTERS) },
    strange: options.strange,
  });
  const count = all.length + checks.length;
  if (count > MAX_JOBS) throw new EvaluationError(tooLarge(`${count} jobs`, MAX_JOBS));
  const between = checkJobs(environments, all);
  const jobs =
    trigger.kind === 'deploy'
      ? jobsOfDeploy(trigger, all, environments, between, options.done)
      : isAdded(trigger)
        ? addedImages(all, added.preview)
        : all;
  const planned = withPriorities([
    ...jobs,
    ...deployJobs(environments, { all, jobs, environments: pipeline.environments }, trigger, event),
    ...between,
    ...(added.preview ? [previewJob(added.preview, added.trigger, jobs, event)] : []),
    ...(added.plan ? [planJob(options.offers ?? [])] : []),
  ]);
  const request = trigger.kind === 'tag' || trigger.kind === 'deploy' ? null : skipRequest(options.message);
  if (request === null) return planned;
  const reason = `The commit's message asks for it: ${request}.`;
  return planned.map((job) => ({ ...job, skip: reason }));
}

type Added =
  | { readonly trigger: PullRequestTrigger; readonly preview: PreviewPlan | null; readonly plan: boolean }
  | { readonly trigger: null; readonly preview: null; readonly plan: false };

/** What Slipway adds to the jobs of a pull request. Nothing to a stranger's. */
function addedTo(trigger: Trigger, { preview = null, showsPlan = false, strange }: PlanOptions): Added {
  if (trigger.kind !== 'pull_request' || strange === true || comesFromFork(trigger))
    return { trigger: null, preview: null, plan: false };
  return { trigger, preview, plan: showsPlan };
}

function goesTo(
  image: string,
  environments: readonly EnvironmentSpec[],
  preview: PreviewPlan | null,
): 'deployed' | 'previewed' | 'nowhere' {
  if (environments.length > 0) return 'deployed';
  const previewed = preview?.kind === 'preview' && Object.values(preview.spec.images).includes(image);
  return previewed ? 'previewed' : 'nowhere';
}

/** A promotion moves what is built: nothing runs before it. */
function jobsOfDeploy(
  trigger: DeployTrigger,
  all: readonly PlannedJob[],
  environments: readonly EnvironmentSpec[],
  checks: readonly PlannedJob[],
  done: ReadonlySet<string>,
): readonly PlannedJob[] {
  return trigger.mode === 'promote' ? [] : chooseForDeploy(all, environments, checks, done);
}

/** Told from the pipeline, before time is spent on it. */
function problemOfSize(pipeline: Pipeline): string | null {
  let [jobs, characters, expressions] = [0, 0, 0];
  for (const spec of pipeline.jobs) {
    const instances = expandMatrix(spec.matrix).length;
    const text = JSON.stringify({ ...spec, matrix: null });
    jobs += instances;
    characters += instances * text.length;
    expressions += instances * (text.split('${{').length - 1);
  }
  if (jobs > MAX_JOBS) return tooLarge(`${jobs} jobs`, MAX_JOBS);
  if (characters > MAX_CHARACTERS) return tooLarge(`${characters} characters of jobs`, MAX_CHARACTERS);
  return expressions > MAX_EXPRESSIONS ? tooLarge(`${expressions} expressions`, MAX_EXPRESSIONS) : null;
}

function tooLarge(what: string, most: number): string {
  return `The pipeline makes ${what}; ${most} is the most that is run. Make a matrix smaller.`;
}
