import type { RolloutStep, Strategy } from '#src/model/delivery.ts';
import { EvaluationError, type Value } from '#src/model/evaluate.ts';
import { fillTemplate } from '#src/model/template.ts';

/** An address filled in. Only http and https: it is shown as a link, or asked. Throws EvaluationError that says where. */
export function fillUrl(template: string, event: Value, where: string): string {
  try {
    const url = fillTemplate(template, { event });
    if (/^https?:\/\/\S+$/.test(url)) return url;
    throw new EvaluationError(`"${url}" is no address: it must start with https://`);
  } catch (error) {
    if (!(error instanceof EvaluationError)) throw error;
    throw new EvaluationError(`${where}: ${error.message}.`);
  }
}

/** A strategy with the addresses of its probes filled in. */
export function fillStrategy(strategy: Strategy, event: Value, where: string): Strategy {
  const fill = (steps: readonly RolloutStep[]): readonly RolloutStep[] =>
    steps.map((step, index) => {
      if (step.kind !== 'probe') return step;
      return { ...step, url: fillUrl(step.url, event, `probe of step ${index + 1} of ${where}`) };
    });
  if (strategy.kind === 'canary') return { ...strategy, steps: fill(strategy.steps) };
  return { ...strategy, before: fill(strategy.before), after: fill(strategy.after) };
}
