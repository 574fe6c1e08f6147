import type { ApprovalRule, DeployMode, JobGate, Window } from '#src/model/deploy-rules.ts';
import { type Role, sameLogin } from '#src/model/trust.ts';
import { approvalText, countApprovals, type Said } from './approvals.ts';
import { type CheckFact, judgeChecks } from './checks.ts';
import { type Held, isMaintainer, lockInTheWay, lockText } from './locks.ts';
import { digestOf, judgeOrder, type OrderFact } from './order.ts';
import { type PeopleRules, refuseSomebody, type Somebody } from './people.ts';
import { isOpen, nextOpening, openingText, windowsText } from './windows.ts';
import { isUnknown, list, quoted, short, type Unknown } from './words.ts';

/** All that the decision depends on. What isn't known counts against the deployment. */
export interface DeployFacts {
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly environment: string;
  readonly mode: DeployMode;
  readonly via: DeployVia;
  readonly sha: string;
  /** True: the commit is a stranger's, or nobody knows. */
  readonly strange: boolean;
  /** Login of who asked for it or caused it. */
  readonly actor: string;
  /** The actor ran it again: they asked, by whatever it came here first. */
  readonly again?: boolean;
  /** It has the operator's own word: no rule on people keeps it. */
  readonly operator: boolean;
  /** What GitHub reports of the actor. Only looked at if a rule needs it. */
  readonly person: Somebody | Unknown;
  readonly people: PeopleRules;
  /** Why the operator's file doesn't allow it, sentences. */
  readonly refusals: readonly string[];
  /** Of what is deployed by a tag. */
  readonly tag: TagFact | null;
  /** Image jobs that the environment rolls out. */
  readonly jobs: readonly string[];
  /** Digests by image job. */
  readonly images: Readonly<Record<string, string>>;
  readonly protect: readonly string[];
  readonly checks: readonly CheckFact[] | Unknown;
  /** Jobs of this run that succeeded: GitHub may not have been told yet. */
  readonly told: readonly string[];
  /** Since when protected checks are waited for, milliseconds since the epoch; null: they weren't up to now. */
  readonly pendingSince: number | null;
  readonly windows: readonly Window[];
  readonly approval: ApprovalRule | null;
  readonly said: readonly Said[];
  /** Logins of who made the change, beside the actor. */
  readonly authors: readonly string[] | Unknown;
  /** One for each environment that comes before. */
  readonly order: readonly (OrderFact | (Unknown & { readonly environment: string }))[];
  readonly locks: readonly Held[];
  readonly overLock: boolean;
}

/** push, tag and release happen by themselves; the others somebody asks for. */
export type DeployVia = 'push' | 'tag' | 'release' | 'command' | 'button' | 'api';

export interface TagFact {
  readonly name: string;
  /** The commit that it names now; null: it is gone. */
  readonly now: string | null | Unknown;
  /** Another commit that it named when it came here before, or null. */
  readonly before: string | null;
}

/**
 * ask: somebody asks, and nothing is made yet. enter: before it stands in the environment's line. begin: it has the line.
 * A rollback skips protected checks, approvals, windows and order.
 */
export type DeployStage = 'ask' | 'enter' | 'begin';

export type DeployDecision =
  | { readonly kind: 'go' }
  /** `again`: to be looked at again after so many milliseconds; null: once somebody does something. */
  | { readonly kind: 'wait'; readonly note: string; readonly gate: JobGate; readonly again: number | null }
  /** `rejected`: somebody who may has said no. */
  | { readonly kind: 'refuse'; readonly reason: string; readonly rejected: boolean };

/** GitHub is asked again after so long, while something isn't known or hasn't ended. */
export const askAgainMs = 20_000;
/** What people do is heard of at once; this is for words that were lost. */
const hearAgainMs = 5 * 60_000;
/** How long what happens by itself waits for protected checks. */
const checksPatienceMs = 60 * 60_000;

/** May this be deployed now? By whom? What next? Total: it answers for all facts. */
export function decideDeploy(facts: DeployFacts, stage: DeployStage): DeployDecision {
  const findings = questions(facts, stage).flatMap((ask) => settled(ask(facts, stage), stage) ?? []);
  const refused = findings.find((it) => it.kind === 'refuse');
  if (refused) return { kind: 'refuse', reason: refused.reason, rejected: refused.rejected ?? false };
  const waits = findings.filter((it) => it.kind === 'wait');
  // What people can do something about is shown first, with its buttons.
  const [first] = gateOrder.flatMap((kind) => waits.filter((wait) => wait.gate.kind === kind));
  if (first === undefined) return { kind: 'go' };
  const note = [first, ...waits.filter((it) => it !== first)].map((it) => it.note).join(' ');
  const pending = waits.find((it) => it.gate.pendingSince !== undefined)?.gate.pendingSince;
  const gate = pending === undefined ? first.gate : { ...first.gate, pendingSince: pending };
  const agains = waits.flatMap((it) => it.again ?? []);
  return { kind: 'wait', note, gate, again: agains.length === 0 ? null : Math.min(...agains) };
}

/** True for what nobody asked for. */
export function isAutomatic(via: DeployVia): boolean {
  return via === 'push' || via === 'tag' || via === 'release';
}

/** True where a rollback skips rules. */
export function skipsRules(mode: DeployMode): boolean {
  return mode === 'rollback';
}

type Finding =
  | { readonly kind: 'refuse'; readonly reason: string; readonly rejected?: boolean }
  | { readonly kind: 'wait'; readonly note: string; readonly gate: JobGate; readonly again: number | null }
  /** `what`: `whether @ada may deploy to production`; `why`: what whoever was asked answered, a sentence. */
  | { readonly kind: 'unknown'; readonly what: string; readonly why: string; readonly gate: JobGate };

type Question = (facts: DeployFacts, stage: DeployStage) => Finding | null;

/** What isn't known yet is waited for; somebody who asks is told instead. */
function settled(finding: Finding | null, stage: DeployStage): Exclude<Finding, { kind: 'unknown' }> | null {
  if (finding === null || finding.kind === 'refuse') return finding;
  if (finding.kind === 'wait') return stage === 'ask' ? { kind: 'refuse', reason: finding.note } : finding;
  const { what, why, gate } = finding;
  if (stage === 'ask') {
    return { kind: 'refuse', reason: `Slipway can't find out ${what}. ${why} Ask again in a while.` };
  }
  const note = `Waits to find out ${what}. ${why} Slipway asks again by itself.`;
  return { kind: 'wait', note, gate, again: askAgainMs };
}

const gateOrder: readonly JobGate['kind'][] = ['approval', 'lock', 'window', 'checks', 'order', 'queue'];

function questions({ mode }: DeployFacts, stage: DeployStage): readonly Question[] {
  const always = [stranger, permission, operatorsFile, lock];
  const rules = skipsRules(mode) ? [] : [protectedChecks, window];
  // Before the line too: nobody should be asked to approve what is refused in the end.
  const order = skipsRules(mode) ? [] : [orderOf];
  if (stage === 'ask') return [...always, ...rules, ...order];
  return [...always, movedTag, image, ...rules, ...(skipsRules(mode) ? [] : [approvals]), ...order];
}

function stranger({ strange }: DeployFacts): Finding | null {
  if (!strange) return null;
  return refuse("A stranger's commit is never deployed: it can be once somebody with write permission has merged it.");
}

function permission({ people, person, actor, again, operator, environment, via }: DeployFacts): Finding | null {
  const asked = !isAutomatic(via) || again === true;
  if (operator || (!asked && people.operator === null)) return null;
  if (isUnknown(person)) {
    return unclear('checks', `whether @${actor} may deploy to ${environment}`, person);
  }
  // Somebody else's right is none.
  const who = sameLogin(person.login, actor) ? person : { login: actor, role: 'none' as const, teams: [] };
  const reason = refuseSomebody(people, who, environment, { asked });
  return reason === null ? null : refuse(reason);
}

function operatorsFile({ refusals }: DeployFacts): Finding | null {
  return refusals.length === 0 ? null : refuse(refusals.join(' '));
}

function lock({ locks, environment, via, actor, overLock, person, mode }: DeployFacts): Finding | null {
  const automatic = isAutomatic(via);
  const role: Role | null = isUnknown(person) || !sameLogin(person.login, actor) ? null : person.role;
  const held = lockInTheWay(locks, environment, { login: automatic ? null : actor, overLock, role });
  if (held === null) return null;
  const text = lockText(held, environment);
  const command = held.environment === '' ? '/unlock --all' : `/unlock ${environment}`;
  if (automatic) return wait('lock', `${text} It goes on once @${held.owner} has released the lock: ${command}.`);
  const release = `${text} Ask @${held.owner} to release it (${command}); a maintainer may release it by force.`;
  const over = mode === 'rollback' && role !== null && isMaintainer(role);
  return refuse(over ? `${release} To go over it: /rollback ${environment} --force.` : release);
}

function movedTag({ tag, sha, environment, via, mode }: DeployFacts): Finding | null {
  // The others deploy digests that are named, whatever the tag is by now.
  if (tag === null || mode !== 'deploy') return null;
  const name = quoted(tag.name);
  if (isUnknown(tag.now)) return unclear('checks', `what the tag ${name} names`, tag.now);
  const byName = `/deploy ${environment} ${tag.name}`;
  if (tag.now === null) {
    return refuse(`The tag ${name} is gone. To deploy its commit all the same: /deploy ${environment} ${short(sha)}.`);
  }
  if (tag.now !== sha) {
    return refuse(
      `The tag ${name} was moved: it names ${short(tag.now)} now, and this is about ${short(sha)}. To deploy what it names now: ${byName}.`,
    );
  }
  if (tag.before === null || !isAutomatic(via)) return null;
  return refuse(
    `The tag ${name} was moved: it named ${short(tag.before)} before, and names ${short(sha)} now. A tag that was moved isn't deployed by itself. If that is meant: ${byName}.`,
  );
}

function image({ jobs, images, sha }: DeployFacts): Finding | null {
  if (jobs.length === 0) return refuse('It rolls out no image: the environment names none.');
  const found = (job: string): string => (Object.hasOwn(images, job) ? (images[job] ?? '') : '');
  const missing = jobs.filter((job) => found(job) === '');
  if (missing.length > 0) {
    const names = list(missing.map((job) => `"${job}"`));
    return refuse(
      `No image is recorded for the job ${names} and commit ${sha.slice(0, 12)}: that job has to build and push it first.`,
    );
  }
  const loose = jobs.filter((job) => digestOf(found(job)) === null);
  if (loose.length === 0) return null;
  return refuse(`${list(loose.map((job) => quoted(found(job))))} is no digest: only what was built once is deployed.`);
}

function protectedChecks(facts: DeployFacts): Finding | null {
  const { protect, checks, told, pendingSince, now, via, sha } = facts;
  if (protect.length === 0) return null;
  if (isUnknown(checks)) {
    const names = list([...new Set(protect)].map(quoted));
    return unclear('checks', `how the checks ${names} stand`, checks);
  }
  const { bad, pending, onlyTelling } = judgeChecks(protect, checks, told);
  const must = `Protected checks must have succeeded on ${short(sha)} before it is deployed.`;
  if (bad.length > 0) return refuse(`${bad.join(' ')} ${must}`);
  if (pending.length === 0) return null;
  const names = list(pending);
  if (!isAutomatic(via) && !onlyTelling) {
    return refuse(
      `${pending.length === 1 ? 'A check has' : 'Checks have'} not ended: ${names}. ${must} Ask again then.`,
    );
  }
  // A clock that was put back must not make it wait for ever.
  const since = pendingSince === null || pendingSince > now ? now : pendingSince;
  if (now - since >= checksPatienceMs) {
    return refuse(`${names} had not succeeded on ${short(sha)} after an hour. Re-run this job once that is so.`);
  }
  const note = `Waits for the ${pending.length === 1 ? 'check' : 'checks'} ${names}, for an hour at most.`;
  return { kind: 'wait', note, gate: { kind: 'checks', pendingSince: since }, again: askAgainMs };
}

function window({ windows, now, environment, via }: DeployFacts): Finding | null {
  if (isOpen(windows, now)) return null;
  const opens = nextOpening(windows, now);
  const only = `${environment} takes deployments ${windowsText(windows)} only`;
  if (opens === null)
    return refuse(`${only}, and that never comes: the environment's \`windows\` have to be corrected.`);
  const next = openingText(windows, opens);
  if (!isAutomatic(via)) return refuse(`${only}; the next window opens ${next}. Ask again then.`);
  const note = `Waits for a window: ${only}. The next opens ${next}.`;
  return { kind: 'wait', note, gate: { kind: 'window', until: opens }, again: Math.max(1, opens - now) };
}

function approvals({ approval, said, authors, actor, again, environment }: DeployFacts): Finding | null {
  if (approval === null) return null;
  const others = isUnknown(authors) ? [] : authors;
  const excluded = again === true ? [...others, actor] : [actor, ...others];
  const count = countApprovals(approval, said, excluded);
  if (count.rejectedBy !== null) {
    return { kind: 'refuse', reason: `Rejected by @${count.rejectedBy}.`, rejected: true };
  }
  if (isUnknown(authors)) {
    const gate = { gate: 'start', needed: Math.max(1, approval.count), given: count.given };
    return unclear('approval', "who made the change, for they don't approve it", authors, gate);
  }
  if (count.enough) return null;
  const note = `${approvalText(approval, count, excluded)} To approve: /approve ${environment}.`;
  return wait('approval', note, { gate: 'start', needed: Math.max(1, approval.count), given: count.given });
}

function orderOf(facts: DeployFacts, stage: DeployStage): Finding | null {
  const { order, images, jobs, sha, environment, via } = facts;
  const wanted = Object.fromEntries(
    jobs.flatMap((job) => (Object.hasOwn(images, job) ? [[job, images[job] ?? '']] : [])),
  );
  // What isn't built runs nowhere.
  const built = jobs.length > 0 && Object.keys(wanted).length === jobs.length;
  const found = order.map((fact): Finding | null => {
    const before = fact.environment;
    if (isUnknown(fact)) return unclear('order', `what ${before} runs`, fact);
    const verdict = judgeOrder(fact, built ? wanted : {}, sha);
    if (verdict.kind === 'go') return null;
    if (verdict.kind === 'unknown') {
      return unclear('order', `whether ${before} is healthy`, { unknown: verdict.reason });
    }
    if (verdict.kind === 'coming' && isAutomatic(via)) {
      const note = `Waits until ${before} is healthy with ${short(sha)}. ${verdict.reason}`;
      return { kind: 'wait', note, gate: { kind: 'order' }, again: askAgainMs };
    }
    const how =
      verdict.kind === 'coming'
        ? 'It is being deployed there: ask again once it is healthy.'
        : `Deploy it there first: /deploy ${before} ${short(sha)}.`;
    return refuse(`${environment} takes what is healthy in ${before}. ${verdict.reason} ${how}`);
  });
  const all = found.flatMap((finding) => settled(finding, stage) ?? []);
  const wrong = all.filter((it) => it.kind === 'refuse');
  if (wrong.length > 0) return refuse(wrong.map((it) => it.reason).join(' '));
  const notes = all.flatMap((it) => (it.kind === 'wait' ? [it.note] : []));
  return notes.length === 0
    ? null
    : { kind: 'wait', note: notes.join(' '), gate: { kind: 'order' }, again: askAgainMs };
}

function refuse(reason: string): Finding {
  return { kind: 'refuse', reason };
}

function wait(kind: JobGate['kind'], note: string, more: Omit<JobGate, 'kind'> = {}): Finding {
  return { kind: 'wait', note, gate: { kind, ...more }, again: hearAgainMs };
}

/** The platform doesn't tell yet. */
function unclear(kind: JobGate['kind'], what: string, { unknown }: Unknown, more: Omit<JobGate, 'kind'> = {}): Finding {
  return { kind: 'unknown', what, why: unknown, gate: { kind, ...more } };
}
