import type { CheckStep, RolloutStep, Strategy } from './delivery.ts';

/** The steps in their order; of blue/green, those before the switch and then those after. */
export function stepsOf(strategy: Strategy | null | undefined): readonly RolloutStep[] {
  if (!strategy) return [];
  return strategy.kind === 'canary' ? strategy.steps : [...strategy.before, ...strategy.after];
}

/** Key of the planned job that does a `job` step: `smoke (production, step 2)`. `index` counts the steps from 0. */
export function checkKey(step: Extract<CheckStep, { kind: 'job' }>, environment: string, index: number): string {
  return `${step.job} (${environment}, step ${index + 1})`;
}
