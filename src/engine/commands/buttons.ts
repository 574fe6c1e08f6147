import { buttonsOf, environmentMark, type Press, pressOf, refusedKey } from '#src/model/button.ts';
import { cancelledBy } from '#src/model/cancel.ts';
import type { ButtonEvent } from '#src/model/event.ts';
import { quoted, when } from '#src/model/deploy/words.ts';
import { UserError } from '#src/model/outcome.ts';
import { fullName } from '#src/model/repository.ts';
import type { Job, Run, RunView } from '#src/model/run.ts';
import { isStrange, mayWrite } from '#src/model/trust.ts';
import { approveRun, refuseApproval, subjectOf } from '#src/engine/approve.ts';
import { cancelRun } from '#src/engine/cancel.ts';
import { decideApproval } from '#src/engine/deploy/approvals.ts';
import { knownEnvironments } from '#src/engine/deploy/environment.ts';
import { refuseCancel } from '#src/engine/deploy/permission.ts';
import { type Requested, requestDeploy, requestPromote, requestRollback } from '#src/engine/deploy/requests.ts';
import type { Parts } from '#src/engine/parts.ts';
import { didFail, startOver } from '#src/engine/rerun.ts';
import type { Told, Wake } from './context.ts';

/** A button that was pressed, and what it stands on. `job`: null on the check run of a whole run. */
interface Pressed {
  readonly parts: Parts;
  readonly event: ButtonEvent;
  readonly wake: Wake;
  readonly press: Press;
  readonly view: RunView;
  readonly job: Job | null;
}

/** What became of a press. A refusal is shown on the check run and on the pull request: nothing else answers who pressed. */
type Became =
  | { readonly kind: 'done'; readonly result: string; readonly reason?: string }
  /** `audited`: whoever refused it has written that down. */
  | { readonly kind: 'refused'; readonly message: string; readonly audited: boolean };

/** A press on a button. Who may press isn't checked by GitHub, so it is here. */
export async function pressed(parts: Parts, event: ButtonEvent, wake: Wake): Promise<Told> {
  const press = pressOf(event.identifier);
  if (press === null) return { result: `There is no button ${event.identifier}.`, tell: null };
  const on = await whereItIs(parts, event, press);
  if (on === null) return { result: 'The check run is none of ours.', tell: null };
  const it: Pressed = { parts, event, wake, press, ...on };
  const became = await becomes(it).catch((error: unknown): Became => {
    if (!(error instanceof UserError)) throw error;
    return { kind: 'refused', message: error.message, audited: false };
  });
  if (became.kind === 'done') {
    if (became.reason !== undefined) await audit(it, 'allowed', became.reason);
    return { result: became.result, tell: null };
  }
  if (!became.audited) await audit(it, 'refused', became.message);
  await showRefusal(it, became.message);
  return { result: became.message, tell: () => tellRefusal(it, became.message) };
}

/** The run, and the job, behind the check run on which a button was pressed. Null if it is none of ours. */
async function whereItIs(
  parts: Parts,
  event: ButtonEvent,
  { kind }: Press,
): Promise<{ readonly view: RunView; readonly job: Job | null } | null> {
  const { runs } = parts.store;
  const whole = kind === 'approve';
  const job = whole ? null : await runs.job(event.externalId);
  const runId = whole ? event.externalId : job?.runId;
  const view = runId === undefined ? null : await runs.view(runId);
  if (view === null || view.run.repository.id !== event.repository.id) return null;
  // What was looked at is what runs.
  return view.run.trigger.sha === event.sha ? { view, job } : null;
}

async function becomes(it: Pressed): Promise<Became> {
  const { press, job } = it;
  switch (press.kind) {
    case 'approve':
      return await approve(it, await writer(it));
    case 'cancel':
      return await cancel(it, await writer(it));
    case 'retry-failed':
      return await retry(it, await writer(it));
    default:
      break;
  }
  if (job === null) throw new UserError('That button belongs to a deployment, and this is none.');
  if (press.kind === 'approve-deployment' || press.kind === 'reject-deployment') return await decide(it, job);
  if (press.kind === 'roll-back') return answered(await rollBack(it, job));
  if (press.kind === 'deploy') return answered(await deploy(it, job, press.environment));
  return answered(await promote(it, job, press.environment));
}

/** The person's role, if it is enough; otherwise UserError. */
async function writer({ parts, event }: Pressed): Promise<string> {
  const role = await parts.forge.role(event.repository, event.actor);
  if (mayWrite(role)) return role;
  throw new UserError(`@${event.actor} may not do that: it needs write permission, and GitHub reports "${role}".`);
}

async function approve({ parts, event, wake, view: { run } }: Pressed, role: string): Promise<Became> {
  const by = { login: event.actor, role: role as Parameters<typeof approveRun>[2]['role'], action: 'approve button' };
  if (run.state === 'pending' && run.trust?.approval === 'needed' && run.cancel === null && run.pullRequest !== null) {
    const pull = await parts.forge.pullRequest(event.repository, run.pullRequest);
    const refusal = refuseApproval(run, pull, event.actor);
    if (refusal !== null) throw new UserError(refusal);
  } else if (run.trust?.approval !== 'given') return { kind: 'done', result: 'The run does not wait for approval.' };
  const approved = await approveRun(parts, run, by, wake);
  const result = approved ? `Run ${run.id} is approved.` : `Run ${run.id} does not wait for approval any more.`;
  return { kind: 'done', result };
}

async function cancel({ parts, event, wake, view }: Pressed, role: string): Promise<Became> {
  const refusal = await refuseCancel(parts, view.run, event.actor);
  if (refusal !== null) throw new UserError(refusal);
  const asked = await cancelRun(parts, view.run.id, cancelledBy(event.actor), wake);
  if (!asked) return { kind: 'done', result: 'The run is over already, or being cancelled.' };
  return { kind: 'done', result: `Run ${view.run.id} is being cancelled.`, reason: `GitHub reports "${role}".` };
}

async function retry({ parts, event, wake, view }: Pressed, role: string): Promise<Became> {
  const failed = view.jobs.filter(didFail);
  if (failed.length === 0) return { kind: 'done', result: 'Nothing of the run has failed, or it is under way again.' };
  const { started, message } = await startOver(parts, view.run.id, failed, event.actor, wake);
  if (!started) throw new UserError(message);
  return { kind: 'done', result: message, reason: `GitHub reports "${role}".` };
}

async function decide({ parts, event, wake, press, view }: Pressed, job: Job): Promise<Became> {
  const decision = press.kind === 'approve-deployment' ? 'approve' : 'reject';
  const asked = { run: view.run, job, by: { login: event.actor }, decision, via: `${decision} button` } as const;
  const { kind, message } = await decideApproval(parts, asked, wake);
  return kind === 'accepted' ? { kind: 'done', result: message } : { kind: 'refused', message, audited: true };
}

/** From this deployment, if it is what runs now. Otherwise a button of last month would undo what is right by now. */
async function rollBack({ parts, event, wake, view: { run } }: Pressed, job: Job): Promise<Requested> {
  const { deployments } = parts.store;
  const record = await deployments.ofJob(job.id);
  if (record === null) throw new UserError('That deployment is known no more, so there is nothing to roll back from.');
  const current = await deployments.lastHealthy(event.repository.id, record.environment, null);
  const request = await requestOf(parts, event.repository.id, `roll-back:${job.id}`, record.environment);
  if (current?.id !== record.id && !request.repeated) {
    const now = current === null ? 'nothing that Slipway knows of' : `\`${current.sha.slice(0, 12)}\``;
    throw new UserError(
      `That deployment isn't what runs in ${quoted(record.environment)} any more: ${now} does. To roll that back, comment \`/rollback ${record.environment}\`.`,
    );
  }
  return await requestRollback(
    parts,
    { ...common(event, run), environment: record.environment, to: null, request: request.name, overLock: false },
    wake,
  );
}

async function deploy({ parts, event, wake, view: { run } }: Pressed, job: Job, mark: string): Promise<Requested> {
  const environment = await environmentOf(parts, event, mark);
  const { trigger } = run;
  // The plan is a pull request's. What it is for was decided when the run began, and the button must not be older than the head.
  if (trigger.kind !== 'pull_request' && trigger.kind !== 'push') throw new UserError('Nothing is deployed from here.');
  if ((trigger.kind === 'pull_request' && trigger.fork) || isStrange(run)) {
    throw new UserError("A stranger's commit is never deployed.");
  }
  const { sha, ref, branch, title } = trigger;
  if (run.pullRequest !== null) {
    const pull = await parts.forge.pullRequest(event.repository, run.pullRequest);
    if (pull.state !== 'open')
      throw new UserError(`Pull request #${pull.number} is ${pull.state}; only an open one is deployed by its button.`);
    if (pull.sha !== sha) {
      throw new UserError(
        `\`${sha}\` isn't the head of this pull request any more: that is \`${pull.sha}\`. If the older commit is meant, comment \`/deploy ${environment} ${sha}\`.`,
      );
    }
  }
  const { name } = await requestOf(parts, event.repository.id, `deploy:${job.id}`, environment);
  const ask = { ...common(event, run), environment, commit: { sha, ref, branch, title }, request: name };
  return await requestDeploy(parts, ask, wake);
}

/** From this deployment, if it is what runs there now: another's digests aren't what was looked at. */
async function promote({ parts, event, wake, view: { run } }: Pressed, job: Job, mark: string): Promise<Requested> {
  const to = await environmentOf(parts, event, mark);
  const record = await parts.store.deployments.ofJob(job.id);
  if (record === null) throw new UserError('That deployment is known no more, so there is nothing to promote.');
  const from = record.environment;
  if (record.state !== 'success') {
    throw new UserError(
      `That deployment isn't what runs in ${quoted(from)} any more. To promote what does, comment \`/promote ${from} ${to}\`.`,
    );
  }
  const { name } = await requestOf(parts, event.repository.id, `promote:${job.id}`, to);
  return await requestPromote(parts, { ...common(event, run), from, to, request: name }, wake);
}

function common({ repository, actor }: ButtonEvent, { pullRequest }: Run) {
  return { repository, by: { login: actor, via: 'button' }, number: pullRequest } as const;
}

/**
 * Names a press. As long as what it made goes on, another is the same (people press twice, and GitHub tells twice); after
 * that it is a new one.
 */
async function requestOf(
  parts: Parts,
  repositoryId: number,
  button: string,
  environment: string,
): Promise<{ readonly name: string; readonly repeated: boolean }> {
  for (let count = 1; ; count += 1) {
    const name = `button:${button}:${count}`;
    const [run] = await parts.store.runs.ofKey(repositoryId, `deploy/${environment.toLowerCase()}/${name}`);
    if (run === undefined) return { name, repeated: false };
    if (run.state !== 'completed') return { name, repeated: true };
  }
}

async function environmentOf(parts: Parts, event: ButtonEvent, mark: string): Promise<string> {
  const environments = await knownEnvironments(parts, event.repository);
  const found = environments.find(({ name }) => environmentMark(name) === mark);
  if (found !== undefined) return found.name;
  throw new UserError(
    `The pipeline file of ${quoted(event.repository.defaultBranch)} has the environment of that button no more.`,
  );
}

function answered(asked: Requested): Became {
  if (asked.kind === 'refused') return { kind: 'refused', message: asked.message, audited: true };
  return { kind: 'done', result: `Run ${asked.runId} deploys.` };
}

async function audit(
  { parts, event, press, view: { run }, job }: Pressed,
  decision: 'allowed' | 'refused',
  reason: string,
): Promise<void> {
  const { work } = job?.plan ?? {};
  const deployment = work?.kind === 'deploy' && press.kind !== 'cancel' && press.kind !== 'retry-failed';
  const subject = press.kind === 'approve' ? subjectOf(run.pullRequest, event.sha) : `run ${run.id}`;
  await parts.store.audit.append({
    at: parts.clock.now(),
    actor: event.actor,
    action: `${press.kind} button`,
    repository: fullName(event.repository),
    subject: deployment ? work.environment : subject,
    decision,
    reason,
  });
}

/** On the check run that was pressed: the last one only. */
async function showRefusal({ parts, event, view: { run }, job }: Pressed, message: string): Promise<void> {
  if (job === null) return;
  const label = buttonsOf(job).find(({ identifier }) => identifier === event.identifier)?.label;
  const what = label === undefined ? 'a button' : quoted(label);
  const line = `@${event.actor} pressed ${what} at ${when(parts.clock.now())}, and it was refused: ${message}`;
  await parts.store.told.set(refusedKey(job), line);
  await parts.store.runs.touch(run.id);
  parts.reporter.report(run.id);
}

/** Where the run has a pull request. The same is said once. */
async function tellRefusal({ parts, event, press, view: { run }, job }: Pressed, message: string): Promise<void> {
  if (run.pullRequest === null) return;
  const name = job?.plan.key ?? 'slipway';
  const body = `@${event.actor} pressed a button on ${quoted(name)}, and it was refused: ${message}`;
  const key = `button ${event.externalId} ${press.kind} ${event.actor} ${environmentMark(message)}`;
  try {
    await parts.forge.comment(event.repository, run.pullRequest, body, key);
  } catch (error) {
    // Pressed again by itself in a while, it could be accepted. Where the check run shows the refusal, that is enough.
    if (job === null) throw error;
    parts.log.warn({ err: error, run: run.id }, 'could not comment on a refused press');
  }
}
