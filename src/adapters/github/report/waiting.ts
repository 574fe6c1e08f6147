import { ruleText } from '#src/model/deploy/people.ts';
import { when } from '#src/model/deploy/words.ts';
import type { JobGate } from '#src/model/deploy-rules.ts';
import type { Job, RunView } from '#src/model/run.ts';
import { cut, escapeMarkdown, fenced } from './text.ts';

/** What a deployment waits for, in the words of its check run. Pure. */

/**
 * True of a deployment that somebody has to approve. Its check run is shown as completed, because GitHub shows buttons only
 * then, with the one conclusion that says what is to be done, and that doesn't satisfy a required check.
 */
export function waitsForApproval({ run }: RunView, job: Job): boolean {
  return job.state !== 'completed' && job.gate?.kind === 'approval' && (job.cancel ?? run.cancel) === null;
}

/** One line: `Waits for approval: 1 of 2 given`. `note`: what the engine says of it, or null. */
export function waitTitle(gate: JobGate, note: string | null): string {
  switch (gate.kind) {
    case 'approval': {
      const what = begun(gate) ? ` to go on with ${gate.gate}` : '';
      return `Waits for approval${what}: ${gate.given?.length ?? 0} of ${gate.needed ?? 1} given`;
    }
    case 'queue':
      if (gate.position === undefined) return note ?? 'Queued';
      return gate.position === 1 ? 'Queued: next in line' : `Queued: number ${gate.position} in line`;
    case 'window':
      if (gate.until === undefined) return note ?? 'Waits until it may be deployed';
      return `Waits until ${when(gate.until)}: nothing is deployed outside of the windows`;
    case 'lock':
      return note ?? 'Waits for a lock to be released';
    case 'checks':
      return note ?? 'Waits for checks of the commit';
    case 'order':
      return note ?? 'Waits for another environment';
  }
}

/** Markdown on what it waits for and how that is brought about; '' if it waits for nothing. */
export function waitText(view: RunView, job: Job): string {
  const { gate } = job;
  if (gate === null || job.state === 'completed') return '';
  const note = job.note === null ? '' : escapeMarkdown(cut(job.note, 2000));
  const title = escapeMarkdown(waitTitle(gate, null));
  switch (gate.kind) {
    case 'approval':
      return approvalText(view, job, gate);
    case 'lock':
      return [`**${title}.** ${note}`, 'It goes on by itself once the lock is released.'].join('\n\n');
    case 'window':
    case 'queue':
    case 'checks':
    case 'order':
      return `**${title}.** ${note}`.trim();
  }
}

function approvalText(view: RunView, { note, plan }: Job, gate: JobGate): string {
  const given = gate.given ?? [];
  const missing = Math.max(1, (gate.needed ?? 1) - given.length);
  const by =
    given.length === 0 ? '' : ` Approved so far by ${given.map((login) => escapeMarkdown(`@${login}`)).join(', ')}.`;
  const rule = plan.work.kind === 'deploy' ? plan.work.rules?.approvals?.by : undefined;
  const who =
    rule === undefined
      ? ''
      : `May approve: ${escapeMarkdown(ruleText(rule))}; neither who asked for it nor who made the change.`;
  const environment = plan.work.kind === 'deploy' ? plan.work.environment : '';
  const comment = view.run.pullRequest !== null && /^\S+$/.test(environment);
  return [
    `**${escapeMarkdown(waitTitle(gate, null))}.** ${missing} more ${missing === 1 ? 'is' : 'are'} needed.${by}`,
    note === null ? who : escapeMarkdown(cut(note, 2000)),
    comment
      ? `Press **Approve** above, or comment on the pull request:\n\n${fenced(`/approve ${environment}`, 1000, 'start')}\n\nTo end it instead: the other button, or \`/reject\`.`
      : 'Press **Approve** above to let it go on, the other button to end it.',
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

function begun({ gate }: JobGate): boolean {
  return gate !== undefined && gate !== 'start';
}
