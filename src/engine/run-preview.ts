import { readManifests } from '#src/model/manifest.ts';
import { maskText } from '#src/model/mask.ts';
import { type Outcome, PlatformError, reasonOf, success, UserError } from '#src/model/outcome.ts';
import type { RolloutTarget } from '#src/model/pipeline.ts';
import type { DeployWork, PreviewWork } from '#src/model/plan.ts';
import { fullName } from '#src/model/repository.ts';
import type { RolloutChange } from '#src/model/rollout-change.ts';
import type { Job, Run } from '#src/model/run.ts';
import { list } from '#src/model/suggest.ts';
import { isStrange } from '#src/model/trust.ts';
import { auditOnce } from './deploy/audited.ts';
import { type Deployment, openDeployment } from './deploy/record.ts';
import { createTelling, type Telling } from './deploy/telling.ts';
import { isPlatformError, LostJob, outcomeOf } from './errors.ts';
import { hiddenInRun } from './job-secrets.ts';
import { maskOutcome } from './masked.ts';
import type { Parts } from './parts.ts';
import type { PreviewRequest, PreviewRule } from './ports-deploy.ts';
import { manifestFiles } from './preview-files.ts';
import { removeIfClosed } from './previews.ts';
import { type Followed, follow } from './rollout-follow.ts';
import { type Deadline, deadlineSince, persist, realTime, type RolloutTime } from './rollout-time.ts';
import { type Completion, trackJob } from './track.ts';

/** Of the removal of what an earlier attempt made elsewhere. */
const patienceMs = 5 * 60_000;

/**
 * Puts the pull request's environment into its namespace, from the manifests at the run's commit, and waits until its
 * workloads are available. What was applied stays, also if it fails. It may be called again for the same attempt, and then does
 * the same once more. `signal` cancels; `stop` leaves everything as it is, by throwing. Throws LostJob if the job is another
 * server's meanwhile. `time` is for tests.
 */
export async function runPreview(
  parts: Parts,
  run: Run,
  job: Job,
  work: PreviewWork,
  signal: AbortSignal,
  stop: AbortSignal,
  time: RolloutTime = realTime,
): Promise<Completion> {
  const lost = new AbortController();
  const lose = (): void => lost.abort(new LostJob());
  const leave = AbortSignal.any([stop, lost.signal]);
  const track = await trackJob(parts, job, ['deploy the preview'], () => {}, lose);
  try {
    const before = (await parts.store.deployments.ofJob(job.id))?.details.preview;
    const deployment = await openDeployment(parts, run, job, asDeploy(work), { leave, time, lose });
    // What an earlier attempt made must not be forgotten, however this one ends.
    if (before && before.removedAt === undefined) await deployment.save({ preview: before });
    track.hide(await hiddenInRun(parts, run));
    // What a cluster says may hold what a job had.
    const hide = (text: string): string => maskText(text, track.hidden);
    const say = (message: string): void => {
      track.say(message);
      deployment.tell(hide(message));
    };
    const telling = createTelling(
      [],
      () => track.hidden,
      () => deployment.report(telling.markdown()),
    );
    track.listener.step({ kind: 'started', index: 0, at: parts.clock.now() });
    const log = (message: string): void => track.say(message);
    const attempted = await attempt({
      parts,
      run,
      job,
      work,
      deployment,
      telling,
      signal,
      leave,
      time,
      say,
      log,
      hide,
    });
    const outcome = maskOutcome(attempted, track.hidden);
    say(outcome.kind === 'success' ? `The preview is there${work.url ? `: ${work.url}` : '.'}` : reasonOf(outcome));
    const exitCode = outcome.kind === 'success' ? 0 : 1;
    track.listener.step({ kind: 'finished', index: 0, at: parts.clock.now(), exitCode });
    await deployment.end(outcome);
    // It may have been closed while this went on: then whoever removed the preview came too early.
    await removeIfClosed(parts, run.repository, work.number, job.id).catch((error: unknown) => {
      parts.log.warn({ err: error, job: job.id }, 'could not ask whether a pull request with a preview is closed');
    });
    return { outcome, report: telling.markdown() };
  } finally {
    await track.close().catch((error: unknown) => parts.log.error({ err: error, job: job.id }, 'log is not whole'));
  }
}

interface Context {
  readonly parts: Parts;
  readonly run: Run;
  readonly job: Job;
  readonly work: PreviewWork;
  readonly deployment: Deployment;
  readonly telling: Telling;
  readonly signal: AbortSignal;
  readonly leave: AbortSignal;
  readonly time: RolloutTime;
  readonly say: (message: string) => void;
  /** Only into the log. */
  readonly log: (message: string) => void;
  /** Masks what may hold a secret before it is stored. */
  readonly hide: (text: string) => string;
}

/** Throws only if the preview is left as it is. */
async function attempt(context: Context): Promise<Outcome> {
  const { parts, run, job, signal, leave } = context;
  try {
    return await deploy(context);
  } catch (error) {
    if (error instanceof LostJob) throw error;
    leave.throwIfAborted();
    if (signal.aborted) return { kind: 'cancelled', reason: messageOf(signal.reason) };
    if (!(error instanceof UserError)) parts.log.error({ err: error, run: run.id, job: job.id }, 'a preview broke');
    return outcomeOf(error);
  }
}

async function deploy(context: Context): Promise<Outcome> {
  const { parts, run, job, work, deployment, signal, leave, time, say, log } = context;
  const both = AbortSignal.any([signal, leave]);
  const rule = parts.policy.previews(run.repository);
  const refusal = refuse(run, rule);
  if (refusal !== null || rule === null) return await refused(context, refusal ?? '');
  const pull = await parts.forge.pullRequest(run.repository, work.number);
  if (pull.state === 'closed') return { kind: 'skipped', reason: `Pull request #${work.number} is closed.` };
  const images = await imagesOf(context);
  if (typeof images === 'string') return { kind: 'failure', reason: images };
  const files = await manifestFiles(parts, run, work, both);
  const namespace = `${rule.prefix}-${work.number}`;
  const byName = Object.fromEntries(Object.entries(work.images).map(([name, id]) => [name, images[id] ?? '']));
  const manifests = readManifests({ files, namespace, kinds: rule.kinds, images: byName });
  if (manifests.kind === 'refused') {
    const reason = `The manifests can't be a preview:\n${manifests.problems.join('\n')}`;
    return { kind: 'failure', reason };
  }
  const full = await room(context, rule, images, namespace);
  if (full !== null) return await refused(context, full);
  await auditPreview(context, 'allowed', `by ${run.trigger.kind} ${run.trigger.ref}`);
  const deadline = deadlineSince(parts.clock.now(), job.plan.timeoutMinutes * 60_000, parts.clock, time);
  say(`applying ${manifests.objects.length} objects in ${namespace}`);
  for (const { path } of files) log(`manifest: ${path}`);
  const { cluster } = rule;
  const request = { cluster, namespace, rule, repository: fullName(run.repository), number: work.number };
  const targets = await applied(context, { ...request, objects: manifests.objects }, deadline);
  await deployment.save({ rollout: targets });
  return await followAll(context, targets, deadline);
}

/** Why there is no preview, or null. */
function refuse(run: Run, rule: PreviewRule | null): string | null {
  if (isStrange(run)) return "A stranger's commit gets no preview.";
  if (rule !== null) return null;
  const name = fullName(run.repository);
  return `${name} may have no previews: the operator's file (SLIPWAY_CONFIG) doesn't allow them. An operator adds previews: { prefix: ${run.repository.name.toLowerCase().replaceAll(/[^a-z0-9-]+/g, '-')}-pr } to repositories: ${name}.`;
}

async function refused(context: Context, reason: string): Promise<Outcome> {
  await auditPreview(context, 'refused', reason);
  return { kind: 'failure', reason };
}

async function auditPreview({ parts, run, job, work }: Context, decision: 'allowed' | 'refused', reason: string) {
  const subject = `${work.environment} ${run.trigger.sha} (job ${job.id}-${job.attempt})`;
  const { actor } = run.trigger;
  await auditOnce(parts, run.repository, { actor, action: 'preview', subject, decision, reason });
}

/** Digests by image job, or which one is missing. */
async function imagesOf({ parts, run, work }: Context): Promise<Readonly<Record<string, string>> | string> {
  const images: Record<string, string> = {};
  for (const id of new Set(Object.values(work.images))) {
    const record = await parts.store.images.find(run.repository.id, run.trigger.sha, id);
    if (record === null) {
      return `No image is recorded for the job "${id}" and commit ${run.trigger.sha.slice(0, 12)}: that job has to build and push it first.`;
    }
    images[id] = record.image;
  }
  return images;
}

/** Notes where the preview is, unless there are as many as may be: then why not. */
async function room(
  { parts, run, work, deployment, leave }: Context,
  { cluster, max }: PreviewRule,
  images: Readonly<Record<string, string>>,
  namespace: string,
): Promise<string | null> {
  const { number, environment } = work;
  const mine = deployment.record().details.preview;
  const expiresAt = parts.clock.now() + work.keepMinutes * 60_000;
  const preview = { cluster, namespace, number, expiresAt };
  if (mine && (mine.cluster !== cluster || mine.namespace !== namespace)) {
    // The operator has changed where previews go since an earlier attempt, and its record is this one.
    const at = { cluster: mine.cluster, namespace: mine.namespace, repository: fullName(run.repository), number };
    await parts.previews.remove(at, AbortSignal.any([leave, AbortSignal.timeout(patienceMs)]));
  }
  // Before it is looked: of two that come at once, none may overlook the other.
  await deployment.save({ images, preview });
  const standing = (await parts.store.deployments.previews()).filter((it) => it.repositoryId === run.repository.id);
  const others = standing.filter((it) => it.environment !== environment);
  const earlier = await parts.store.deployments.list(run.repository.id, environment, 50);
  const before = earlier.filter(({ id }) => id !== deployment.record().id).map(({ details }) => details.preview);
  const wasThere = [mine, ...before].some((it) => it !== undefined && it.removedAt === undefined);
  if (wasThere || others.length < max) return null;
  await deployment.save({ preview: { ...preview, removedAt: parts.clock.now() } });
  const names = list(others.map((it) => `#${it.details.preview?.number ?? '?'}`));
  return `There are ${others.length} previews of ${fullName(run.repository)} already (${names}), and at most ${max} may be. Close one of these pull requests, or wait until a preview's time is over; then re-run this job.`;
}

/** What the cluster can't do now is tried again until the time is over; a mistake in the operator's set-up doesn't pass. */
async function applied(context: Context, request: PreviewRequest, deadline: Deadline) {
  const { parts, signal, leave, time, say } = context;
  const both = AbortSignal.any([signal, leave]);
  const apply = async (): Promise<readonly RolloutTarget[] | PlatformError> => {
    return await parts.previews.apply(request, both).catch((error: unknown) => {
      if (isPlatformError(error) && error.retry === 'never') return error;
      throw error;
    });
  };
  const targets = await persist(apply, { deadline, time, signal: both }, say);
  if (targets instanceof PlatformError) throw targets;
  return targets;
}

/** All at once: what fails doesn't keep the others from telling how they are. */
async function followAll(context: Context, targets: readonly RolloutTarget[], deadline: Deadline): Promise<Outcome> {
  const { parts, deployment, telling, signal, leave, time, say, hide } = context;
  const both = AbortSignal.any([signal, leave]);
  const changes: RolloutChange[] = [];
  const ended = await Promise.all(
    targets.map(async (target, index): Promise<Followed> => {
      const state = await persist(() => parts.cluster.inspect(target, both), { deadline, time, signal: both }, say);
      const { generation, images } = state;
      changes[index] = changeOf(target, images[target.container] ?? '');
      telling.state(target, state);
      telling.changes(changes.filter(Boolean));
      return await follow({
        cluster: parts.cluster,
        time,
        target,
        signal: both,
        deadline,
        set: { generation, images },
        stableMs: 0,
        onProgress: say,
        onState: (it) => telling.state(target, it),
      });
    }),
  );
  leave.throwIfAborted();
  const done = changes.map((change, index): RolloutChange => {
    const end = ended[index];
    return { ...change, phase: end?.kind === 'complete' ? 'done' : 'ended', said: hide(wordsOf(end)) };
  });
  await deployment.change(done);
  telling.changes(done);
  if (signal.aborted) return { kind: 'cancelled', reason: messageOf(signal.reason) };
  const failures = ended.flatMap((it) => (it.kind === 'failed' ? [it] : []));
  for (const [index, target] of targets.entries()) {
    if (ended[index]?.kind === 'failed') await explain(context, target);
  }
  if (failures.length === 0) return success;
  const reason = failures.map((it) => it.reason).join('\n');
  return { kind: failures.every((it) => it.cause === 'deadline') ? 'timed_out' : 'failure', reason };
}

/** Best effort: the outcome doesn't depend on it. */
async function explain({ parts, telling, log, leave }: Context, target: RolloutTarget): Promise<void> {
  const soon = AbortSignal.any([leave, AbortSignal.timeout(10_000)]);
  const events = await parts.cluster.events(target, soon).catch(() => []);
  const lines = await parts.cluster.lastLines(target, 30, soon).catch(() => '');
  telling.events(events, target);
  telling.lines(lines, target);
  for (const event of events) log(event);
  if (lines !== '') log(`Last lines of the failing container:\n${lines}`);
}

function changeOf({ kind, cluster, namespace, name, container }: RolloutTarget, image: string): RolloutChange {
  return { workload: `${namespace}/${name}`, container, kind, cluster, before: null, after: image, phase: 'forward' };
}

/** What its record and its words have in common with a deployment's. */
function asDeploy({ environment, url }: PreviewWork): DeployWork {
  return { kind: 'deploy', environment, url, rollout: [], mode: 'preview' };
}

function wordsOf(ended: Followed | undefined): string {
  if (ended === undefined) return '';
  return ended.kind === 'complete' ? ended.message : ended.reason;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
