/** A way through a file: `spec.containers[0].image`, `containers[name=api].image`, `[kind=Deployment].metadata.labels["app.kubernetes.io/version"]`. */
export type FieldPath = readonly FieldStep[];

/** where: the one item (of a list, or document of the file) of which the fields have these values. */
export type FieldStep =
  | { readonly kind: 'key'; readonly key: string }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'where'; readonly conditions: readonly Condition[] };

export interface Condition {
  /** Keys: `metadata.name`. */
  readonly field: readonly string[];
  readonly value: string;
}

/** Takes the text of a path apart; a string says what is wrong with it. */
export function parseField(text: string): FieldPath | string {
  const steps: FieldStep[] = [];
  let rest = text;
  while (rest !== '') {
    const key = /^\.?([^.[\]\s"']+)/.exec(rest);
    const bracket =
      /^\[\s*(?:(\d{1,6})|"([^"]*)"|'([^']*)'|([^\s"'[\]=]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^"'\]]+?)))\s*\]/.exec(
        rest,
      );
    const isStart = steps.length === 0;
    if (bracket) {
      const [, index, double, single, field, value, quoted, plain] = bracket;
      const named = double ?? single;
      if (index !== undefined) steps.push({ kind: 'index', index: Number(index) });
      else if (named !== undefined) steps.push({ kind: 'key', key: named });
      else addCondition(steps, { field: (field ?? '').split('.'), value: value ?? quoted ?? plain ?? '' });
      rest = rest.slice(bracket[0].length);
    } else if (key && (isStart ? !rest.startsWith('.') : rest.startsWith('.'))) {
      steps.push({ kind: 'key', key: key[1] ?? '' });
      rest = rest.slice(key[0].length);
    } else {
      const at = text.length - rest.length + 1;
      return `it can't be read from character ${at} on ("${rest.slice(0, 20)}"). Write keys with points between them, and what stands in a list in brackets: spec.containers[name=api].image`;
    }
  }
  if (steps.length === 0) return 'it is empty';
  if (steps.length > 50) return 'it has more than 50 steps';
  return steps;
}

/** The way as it may be written again. */
export function fieldText(path: FieldPath): string {
  return path.map(stepText).join('').replace(/^\./, '');
}

function stepText(step: FieldStep): string {
  if (step.kind === 'index') return `[${step.index}]`;
  if (step.kind === 'key') return /^[^.[\]\s"']+$/.test(step.key) ? `.${step.key}` : `[${quoted(step.key)}]`;
  const bare = (value: string) => (/^[^\s"'\]]+$/.test(value) ? value : quoted(value));
  return step.conditions.map(({ field, value }) => `[${field.join('.')}=${bare(value)}]`).join('');
}

function quoted(text: string): string {
  return text.includes('"') ? `'${text}'` : `"${text}"`;
}

/** Conditions that follow each other hold together. */
function addCondition(steps: FieldStep[], condition: Condition): void {
  const last = steps.at(-1);
  if (last?.kind === 'where') {
    steps[steps.length - 1] = { kind: 'where', conditions: [...last.conditions, condition] };
  } else steps.push({ kind: 'where', conditions: [condition] });
}
