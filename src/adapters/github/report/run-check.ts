import { runButtons } from '#src/model/button.ts';
import type { Diagnostic } from '#src/model/diagnostic.ts';
import { isAdded } from '#src/model/event.ts';
import { reasonOf } from '#src/model/outcome.ts';
import type { Run, RunView } from '#src/model/run.ts';
import { isHeld } from '#src/model/trust.ts';
import { type CheckRun, checkAnnotations, conclusionOf, iso } from './check-run.ts';
import { cut, cutBytes, escapeMarkdown, fenced, maxBytes, titleOf } from './text.ts';

/** Name of the check run that speaks for the pipeline file, or for a run without jobs. */
const runCheckName = 'slipway';

const maxRemarks = 20;

/**
 * The check run `slipway`, where there is something to say that belongs to no job: the file has mistakes, nothing was
 * found to run, or the run ended before it was planned. Null otherwise.
 */
export function runCheckOf(
  view: RunView,
  extras: { readonly detailsUrl: string; readonly externalId: string },
): CheckRun | null {
  const { run, jobs } = view;
  // The push's run has said what there is to say, but that this one couldn't be planned.
  if (isAdded(run.trigger) && jobs.length === 0 && run.outcome?.kind !== 'broken') return null;
  if (isHeld(run)) return heldCheck(run, extras);
  if (run.state === 'pending' && run.note !== null) return waitingCheck(run, run.note, extras);
  // It was shown as waiting for an approval, which it has.
  if (run.state === 'pending' && run.trust?.approval === 'given') return waitingCheck(run, approvedNote(run), extras);
  const ended = run.state === 'completed' && run.outcome !== null && jobs.length === 0;
  if (!ended && (jobs.length === 0 || run.diagnostics.length === 0)) return null;
  const outcome =
    ended && run.outcome ? run.outcome : { kind: 'neutral' as const, reason: remarksTitle(run.diagnostics) };
  const at = iso(run.finishedAt ?? run.startedAt ?? run.createdAt);
  const errors = run.diagnostics.filter((d) => d.severity === 'error');
  const title =
    outcome.kind === 'broken'
      ? `Slipway failed, not your change: ${outcome.reason}`
      : errors.length > 0
        ? `${run.pipelineFile ?? errors[0]?.at.file ?? 'The pipeline file'} has ${count(errors.length, 'mistake')}`
        : reasonOf(outcome).split('\n', 1)[0] || 'Nothing to do';
  return {
    name: runCheckName,
    externalId: extras.externalId,
    detailsUrl: extras.detailsUrl,
    status: 'completed',
    conclusion: conclusionOf(outcome, false),
    startedAt: iso(run.createdAt),
    completedAt: at,
    title: titleOf(title),
    summary: cutBytes(`${summary(reasonOf(outcome), run.diagnostics)}${approval(run)}`, maxBytes),
    text: null,
    annotations: checkAnnotations(run.diagnostics.map(annotationOf)),
    actions: [],
  };
}

/** The same check run once there is nothing to say any more: a mistake that is mended may not stay red. */
export function settledRunCheck(
  view: RunView,
  extras: { readonly detailsUrl: string; readonly externalId: string },
): CheckRun {
  return {
    name: runCheckName,
    externalId: extras.externalId,
    detailsUrl: extras.detailsUrl,
    status: 'completed',
    conclusion: 'success',
    startedAt: iso(view.run.createdAt),
    completedAt: iso(view.run.startedAt ?? view.run.createdAt),
    title: 'The pipeline was planned',
    summary: [
      view.run.trust?.approval === 'given' ? escapeMarkdown(approvedNote(view.run)) : '',
      'What runs is shown by the other check runs.',
    ]
      .join(' ')
      .trim(),
    text: null,
    annotations: [],
    actions: [],
  };
}

/**
 * A stranger's run that a maintainer has to approve. Completed, because GitHub shows buttons only then; and with the one
 * conclusion that says what is to be done, and that doesn't satisfy a required check.
 */
function heldCheck(run: Run, extras: { readonly detailsUrl: string; readonly externalId: string }): CheckRun {
  const { reason = '', remarks = [] } = run.trust ?? {};
  return {
    name: runCheckName,
    externalId: extras.externalId,
    detailsUrl: extras.detailsUrl,
    status: 'completed',
    conclusion: 'action_required',
    startedAt: iso(run.createdAt),
    completedAt: iso(run.createdAt),
    title: titleOf(`Waits for approval: ${reason}`),
    summary: cutBytes(heldSummary(run, reason, remarks), maxBytes),
    text: null,
    annotations: [],
    actions: runButtons(run),
  };
}

function heldSummary({ repository, trigger, pullRequest }: Run, reason: string, remarks: readonly string[]): string {
  const { sha } = trigger;
  const site = repository.cloneUrl.replace(/\.git$/, '');
  const changes =
    pullRequest !== null && /^https?:/.test(site) ? ` ([see it](${site}/pull/${pullRequest}/files/${sha}))` : '';
  const list = remarks.slice(0, maxRemarks).map((remark) => `- ${marks.warning} ${escapeMarkdown(cut(remark, 1000))}`);
  if (remarks.length > maxRemarks) list.push(`- … and ${remarks.length - maxRemarks} more`);
  return [
    `**Nothing of this commit has run.** ${escapeMarkdown(cut(reason, 2000))}`,
    list.join('\n'),
    `If you have write permission: look at the commit${changes}, and what its jobs will do. Then press **Approve run**, or comment on the pull request:`,
    fenced(`/ok-to-test ${sha}`, maxBytes / 2, 'start'),
    'That runs this very commit: whatever is pushed later waits again. The run gets no secrets, pushes no images and deploys nothing.',
    'If the pull request is yours: nothing is asked of you. A maintainer looks at it.',
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

function approval(run: Run): string {
  return run.trust?.approval === 'given' ? `\n\n${escapeMarkdown(approvedNote(run))}` : '';
}

function approvedNote({ trust }: Run): string {
  return `Approved by @${trust?.approvedBy ?? ''}.`;
}

/** A run that waits before it is known what it consists of. */
function waitingCheck(
  run: Run,
  note: string,
  extras: { readonly detailsUrl: string; readonly externalId: string },
): CheckRun {
  return {
    name: runCheckName,
    externalId: extras.externalId,
    detailsUrl: extras.detailsUrl,
    status: 'queued',
    conclusion: null,
    startedAt: null,
    completedAt: null,
    title: titleOf(`Queued: ${note}`),
    summary: escapeMarkdown(note),
    text: null,
    annotations: [],
    actions: [],
  };
}

function summary(reason: string, diagnostics: readonly Diagnostic[]): string {
  const list = diagnostics.map((d) => {
    const hint = d.hint ? ` ${escapeMarkdown(d.hint)}` : '';
    return `- ${marks[d.severity]} ${escapeMarkdown(`${d.at.file}:${d.at.line}:${d.at.column}`)}: ${escapeMarkdown(d.message)}${hint}`;
  });
  // What follows the first line (an example of a file, say) keeps its form.
  const [first = '', ...others] = reason.split('\n');
  const rest = others.join('\n').trim();
  const text = [escapeMarkdown(cut(first, 2000)), rest === '' ? '' : fenced(rest, 16_384, 'start')]
    .filter((part) => part !== '')
    .join('\n\n');
  return [text, list.join('\n')].filter((part) => part !== '').join('\n\n') || 'Nothing to do.';
}

const marks = { error: '❌', warning: '⚠️', note: 'ℹ️' } as const;
const levels = { error: 'failure', warning: 'warning', note: 'notice' } as const;

function annotationOf(d: Diagnostic) {
  const endLine = d.at.endLine ?? d.at.line;
  return {
    path: d.at.file,
    startLine: d.at.line,
    endLine,
    startColumn: d.at.column,
    ...(d.at.endColumn !== undefined ? { endColumn: d.at.endColumn } : {}),
    level: levels[d.severity],
    title: d.code,
    message: d.hint ? `${d.message}\n${d.hint}` : d.message,
  };
}

function remarksTitle(diagnostics: readonly Diagnostic[]): string {
  return `${count(diagnostics.length, 'remark')} on the pipeline file`;
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? '' : 's'}`;
}
