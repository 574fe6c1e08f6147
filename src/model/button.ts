import type { Job, Run } from './run.ts';
import { isHeld } from './trust.ts';

/** A button on a check run. GitHub allows 20 characters for label and identifier, 40 for the description. */
export interface Button {
  readonly identifier: string;
  readonly label: string;
  readonly description: string;
}

const plain = ['retry-failed', 'cancel', 'approve', 'approve-deployment', 'reject-deployment', 'roll-back'] as const;
type Plain = (typeof plain)[number];

/** What a button asks for. `environment`: as `environmentMark` has it. */
export type Press =
  | { readonly [Kind in Plain]: { readonly kind: Kind } }[Plain]
  | { readonly kind: 'deploy'; readonly environment: string }
  | { readonly kind: 'promote'; readonly environment: string };

/** What was pressed, or null if it is no button of ours. */
export function pressOf(identifier: string): Press | null {
  const kind = plain.find((it) => it === identifier);
  if (kind !== undefined) return { kind };
  const [, what, environment = ''] = /^(deploy|promote):([0-9a-z]{12})$/.exec(identifier) ?? [];
  return what === 'deploy' || what === 'promote' ? { kind: what, environment } : null;
}

/** Under which the last refusal of a press on this attempt's check run is kept, in Markdown. It goes with the check run. */
export function refusedKey({ id, attempt }: Pick<Job, 'id' | 'attempt'>): string {
  return `check/${id}/refused/${attempt}`;
}

const most = 3;

/** The buttons that a job's check run shows, GitHub takes 3: what fits its state. */
export function buttonsOf(job: Job): readonly Button[] {
  return (job.state === 'completed' ? afterwards(job) : meanwhile(job)).slice(0, most);
}

/** To let go on or end what isn't completed. GitHub shows them while the check run counts as completed: waiting for approval. */
function meanwhile({ cancel, plan, gate }: Job): readonly Button[] {
  if (cancel !== null || plan.skip !== null) return [];
  if (plan.work.kind !== 'deploy' || gate?.kind !== 'approval') return [cancelButton];
  const begun = gate.gate !== undefined && gate.gate !== 'start';
  return [
    {
      identifier: 'approve-deployment',
      label: 'Approve',
      description: begun ? 'Lets the deployment take its next step' : 'Lets the deployment begin',
    },
    {
      identifier: 'reject-deployment',
      label: begun ? 'Abort' : 'Reject',
      description: begun ? 'Ends the deployment; it goes back' : 'Ends the deployment before it begins',
    },
  ];
}

const cancelButton: Button = {
  identifier: 'cancel',
  label: 'Cancel run',
  description: 'Cancels all unfinished jobs of this run',
};

/** To repeat what failed, and to go on from what succeeded. */
function afterwards({ outcome, plan: { work } }: Job): readonly Button[] {
  const kind = outcome?.kind;
  if (kind === 'failure' || kind === 'timed_out' || kind === 'broken' || kind === 'cancelled') {
    return [
      { identifier: 'retry-failed', label: 'Retry failed jobs', description: 'Runs all failed jobs of this run again' },
    ];
  }
  if (work.kind === 'plan') {
    return (work.environments ?? []).map((name) => towards('deploy', 'Deploy', name, 'Deploys this commit to'));
  }
  if (work.kind !== 'deploy' || kind !== 'success') return [];
  return [
    { identifier: 'roll-back', label: 'Roll back', description: 'Restores the last healthy deployment' },
    ...(work.next ?? []).map((name) => towards('promote', 'Promote:', name, 'Deploys these images to')),
  ];
}

function towards(kind: 'deploy' | 'promote', verb: string, name: string, sentence: string): Button {
  return {
    identifier: `${kind}:${environmentMark(name)}`,
    label: cut(`${verb} ${name}`, 20),
    description: cut(`${sentence} ${name}`, 40),
  };
}

/**
 * Names an environment in an identifier, which has no room for the name itself: the same for the same name. Whoever reads
 * it looks among the environments that there are.
 */
export function environmentMark(name: string): string {
  return [0x811c9dc5, 0x01000193].map((seed) => hash(name.toLowerCase(), seed).padStart(6, '0').slice(-6)).join('');
}

/** FNV-1a, with room for 6 characters. */
function hash(text: string, seed: number): string {
  let value = seed;
  for (const byte of new TextEncoder().encode(text)) value = Math.imul(value ^ byte, 0x01000193) >>> 0;
  return (value >>> 0).toString(36);
}

function cut(text: string, length: number): string {
  const chars = Array.from(text);
  // GitHub counts as JavaScript does.
  while (chars.join('').length > length - (chars.length < Array.from(text).length ? 1 : 0)) chars.pop();
  return chars.length < Array.from(text).length ? `${chars.join('')}…` : text;
}

/** The buttons of the check run that speaks for a whole run: a maintainer lets a stranger's commit go on. */
export function runButtons(run: Run): readonly Button[] {
  if (!isHeld(run) || run.cancel !== null) return [];
  return [{ identifier: 'approve', label: 'Approve run', description: 'Runs this very commit without secrets' }];
}
