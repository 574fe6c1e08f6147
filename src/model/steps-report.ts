import type { RolloutStep, StepsProgress, Strategy } from './delivery.ts';
import { codeIn, escapeMarkdown, markdownTable } from './markdown.ts';
import { stepsOf } from './steps.ts';
import type { WorkloadState } from './rollout.ts';

/** What is known of a workload's pods and of those beside it; absent or null: nothing, or there are none. */
export interface StepsPods {
  readonly stable?: WorkloadState | null;
  readonly beside?: WorkloadState | null;
}

/** The steps of a rollout (done, now, to come) and its pods, in Markdown. `now`: a sentence on what is done just now. */
export function stepsReport(
  progress: StepsProgress,
  strategy: Strategy,
  pods: readonly StepsPods[],
  now: string,
): string {
  const steps = stepsOf(strategy);
  const rows = steps.flatMap((step, index) => [
    ...switchRow(strategy, progress, index),
    [String(index + 1), stepText(step), inline(stateText(progress, index, now))],
  ]);
  const last = ['', 'The stable workload gets the new version', promotion(progress)];
  const workloads = progress.workloads.map(({ target, autoscaled, replicas }, index) => {
    const { stable, beside } = pods[index] ?? {};
    const note = autoscaled && replicas > 0 ? ' (an autoscaler decides on the replicas)' : '';
    return [`${codeIn(`${target.namespace}/${target.name}`)}${note}`, podsText(stable), podsText(beside)];
  });
  const said = progress.said.map((it) => `- ${inline(it)}`);
  return [
    `**${headline(progress)}**${now === '' || isOver(progress) ? '' : ` ${inline(now)}`}`,
    '',
    markdownTable(['', 'Step', ''], [...rows, ...switchRow(strategy, progress, steps.length), last]),
    '',
    markdownTable(['Workload', 'Stable pods', strategy.kind === 'canary' ? 'Canary pods' : 'Green pods'], workloads),
    ...(said.length > 0 ? ['', ...said] : []),
  ].join('\n');
}

/** What begins with the phase, in few words, as plain text; '' once it is over. */
export function phaseText(progress: StepsProgress, strategy: Strategy): string {
  const { phase, step } = progress;
  if (isOver(progress)) return '';
  if (phase === 'aborting') return `Going back: ${progress.failed?.reason ?? ''}`;
  const now = stepsOf(strategy)[step];
  if ((phase !== 'placing' && phase !== 'holding') || now === undefined) return headline(progress).replace(/\.$/, '');
  return stepText(now).replaceAll('`', '');
}

/** A step in words: `25% of the pods`, `5 min pause`. */
function stepText(step: RolloutStep): string {
  switch (step.kind) {
    case 'weight':
      return `${step.percent}% of the pods`;
    case 'pause':
      return `pause of ${duration(step.seconds)}`;
    case 'approval':
      return 'approval';
    case 'probe':
      return `probe ${codeIn(step.url)}`;
    case 'prometheus':
      return `Prometheus ${codeIn(step.server)}: ${codeIn(step.query)} ${limits(step)}`;
    case 'job':
      return `job ${codeIn(step.job)}`;
  }
}

/** `at most 0.05`, as a check of a number has it. */
export function limits({ min, max }: { readonly min: number | null; readonly max: number | null }): string {
  if (min !== null && max !== null) return `from ${min} to ${max}`;
  if (min !== null) return `at least ${min}`;
  return max === null ? 'any number' : `at most ${max}`;
}

/** 300 -> `5 min`. */
export function duration(seconds: number): string {
  if (seconds > 0 && seconds % 3600 === 0) return `${seconds / 3600} h`;
  return seconds > 0 && seconds % 60 === 0 ? `${seconds / 60} min` : `${seconds} s`;
}

function headline({ phase, failed, step }: StepsProgress): string {
  if (phase === 'done') return 'Rolled out by steps.';
  if (phase === 'ended') return 'The rollout by steps has failed.';
  if (phase === 'aborting') return `Going back: ${inline(failed?.reason ?? '')}`;
  if (phase === 'promoting') return 'The stable workload gets the new version.';
  if (phase === 'cleaning') return 'What stood beside is removed.';
  if (phase === 'switching') return 'The Service is switched to the new pods.';
  return `Step ${step + 1}.`;
}

function isOver({ phase }: StepsProgress): boolean {
  return phase === 'done' || phase === 'ended';
}

function stateText(progress: StepsProgress, index: number, now: string): string {
  const { phase, step } = progress;
  const note = progress.notes[index];
  const done = note === undefined ? 'done' : `done: ${note}`;
  if (phase === 'done' || phase === 'promoting' || phase === 'cleaning' || index < step) return done;
  const isBack = phase === 'aborting' || phase === 'ended';
  if (isBack) return index === step ? 'ended here' : 'not reached';
  if (index > step || (phase !== 'placing' && phase !== 'holding')) return 'to come';
  return `now${now === '' ? '' : `: ${now}`}`;
}

/** The row of the switch, if it stands before this step. */
function switchRow(strategy: Strategy, { phase, step }: StepsProgress, index: number): readonly (readonly string[])[] {
  if (strategy.kind !== 'blue-green' || index !== strategy.before.length) return [];
  const isBack = phase === 'aborting' || phase === 'ended';
  const isPast = ['done', 'promoting', 'cleaning'].includes(phase) || step > index;
  const ahead = phase === 'switching' ? 'now' : isPast || (phase === 'holding' && step === index) ? 'done' : 'to come';
  const back = step > index ? 'switched back' : step === index ? 'ended here' : 'not reached';
  return [['', 'The Service is switched to the new pods', isBack ? back : ahead]];
}

function promotion({ phase }: StepsProgress): string {
  if (phase === 'done' || phase === 'cleaning') return 'done';
  if (phase === 'promoting') return 'now';
  return phase === 'aborting' || phase === 'ended' ? 'not reached' : 'to come';
}

function podsText(state: WorkloadState | null | undefined): string {
  if (!state) return 'none';
  return `${state.available} of ${state.wanted} available`;
}

/** Text of others within a sentence: shown as it is, on one line, formatting nothing. */
function inline(text: string): string {
  return escapeMarkdown(text.slice(0, 1000));
}
