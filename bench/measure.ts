/** One thing measured, as a ratio to the floor that was measured beside it. */
export interface Row {
  readonly name: string;
  /** Median of the product, in `unit`. */
  readonly ours: number;
  /** Median of the floor. Null: an absolute figure. */
  readonly floor: number | null;
  readonly unit: 'ms' | 'MB' | '1/s';
  /** What `ours / floor` (or `ours`) should be: at most this, or at least this where more is better. Null: for comparison. */
  readonly target: { readonly atMost: number } | { readonly atLeast: number } | null;
  readonly samples: number;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const high = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? high : (high + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

/** Milliseconds that it takes. */
export async function time(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/**
 * Measures several things in turn, A B A B ..., so that a machine that gets slower meanwhile slows all of them.
 * `warmup` rounds aren't counted. Answers with the samples of each, in order.
 */
export async function interleave(
  rounds: number,
  warmup: number,
  works: readonly (() => Promise<number>)[],
): Promise<readonly (readonly number[])[]> {
  const samples = works.map((): number[] => []);
  for (let round = -warmup; round < rounds; round += 1) {
    for (const [index, work] of works.entries()) {
      const sample = await work();
      if (round >= 0) samples[index]?.push(sample);
    }
  }
  return samples;
}

function ratio(row: Row): number {
  return row.floor === null ? row.ours : row.ours / row.floor;
}

export function met(row: Row): boolean {
  if (row.target === null) return true;
  return 'atMost' in row.target ? ratio(row) <= row.target.atMost : ratio(row) >= row.target.atLeast;
}

/** The rows as a Markdown table. */
export function table(rows: readonly Row[]): string {
  const lines = rows.map((row) => {
    const floor = row.floor === null ? '' : `${round(row.floor)} ${row.unit}`;
    return `| ${row.name} | ${round(row.ours)} ${row.unit} | ${floor} | ${row.floor === null ? '' : ratio(row).toFixed(2)} | ${target(row)} | ${row.samples} |`;
  });
  return [
    '| What | Slipway | Floor | Ratio | Target | | Samples |',
    '| --- | ---: | ---: | ---: | ---: | --- | ---: |',
    ...lines,
  ].join('\n');
}

function target(row: Row): string {
  if (row.target === null) return ' | ';
  const asked = 'atMost' in row.target ? `≤ ${row.target.atMost}` : `≥ ${row.target.atLeast}`;
  return `${asked} | ${met(row) ? 'met' : 'missed'}`;
}

function round(value: number): string {
  return value >= 100 ? String(Math.round(value)) : value.toPrecision(3);
}
