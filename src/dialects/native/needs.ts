import { suggestion } from '#src/model/suggest.ts';
import type { Report } from './report.ts';

/** So many circles are told, and so many mistakes with a hint: looking for one takes time. */
const MAX_TOLD = 100;

/** Reports needs that name no job, and jobs that wait for each other in a circle. */
export function checkNeeds(report: Report, jobs: Readonly<Record<string, unknown>>): void {
  const ids = new Set(Object.keys(jobs));
  const needs = new Map<string, string[]>();
  for (const id of ids) {
    const own = needsOf(jobs[id]);
    const seen = new Set<string>();
    for (const [index, need] of own.list.entries()) {
      const at = report.yaml.at(own.single ? ['jobs', id, 'needs'] : ['jobs', id, 'needs', index]);
      if (need === id) report.error('needs-itself', at, `The job "${id}" needs itself.`, 'Remove it from its needs.');
      else if (!ids.has(need)) {
        const others = report.diagnostics.length < MAX_TOLD ? [...ids].filter((other) => other !== id) : [];
        report.error(
          'unknown-need',
          at,
          `The job "${id}" needs "${need}", and there is no such job.`,
          suggestion(need, others),
        );
      } else if (seen.has(need)) report.error('duplicate-need', at, `"${need}" is named twice.`, 'Remove one of them.');
      seen.add(need);
    }
    needs.set(
      id,
      [...seen].filter((need) => need !== id && ids.has(need)),
    );
  }
  for (const circle of circles(needs)) {
    const at = report.yaml.atKey(['jobs', circle[0] ?? '', 'needs']);
    const chain = [...circle, circle[0]].map((id) => `"${id}"`).join(' needs ');
    report.error('circular-needs', at, `These jobs wait for each other: ${chain}.`, 'Remove one of these needs.');
  }
}

/** The needs of a job as it stands in the file; whatever isn't a text is reported elsewhere. */
function needsOf(job: unknown): { readonly list: readonly string[]; readonly single: boolean } {
  const value: unknown = typeof job === 'object' && job !== null && 'needs' in job ? job.needs : [];
  if (typeof value === 'string') return { list: [value], single: true };
  return {
    list: Array.isArray(value)
      ? value.map((item) => (typeof item === 'string' ? item : '')).filter((item) => item !== '')
      : [],
    single: false,
  };
}

/** Each circle of what waits for what once, from what comes first. */
export function circles(needs: ReadonlyMap<string, readonly string[]>): readonly (readonly string[])[] {
  const done = new Set<string>();
  const found: string[][] = [];
  for (const start of needs.keys()) {
    // Depth first without recursion: files come from strangers.
    const trail: { id: string; next: number }[] = done.has(start) ? [] : [{ id: start, next: 0 }];
    while (trail.length > 0) {
      const top = trail.at(-1);
      if (top === undefined) break;
      const need = needs.get(top.id)?.[top.next];
      top.next += 1;
      if (need === undefined) {
        done.add(top.id);
        trail.pop();
        continue;
      }
      const loop = trail.findIndex((entry) => entry.id === need);
      if (loop >= 0 && found.length === MAX_TOLD) return found;
      if (loop >= 0) found.push(trail.slice(loop).map((entry) => entry.id));
      else if (!done.has(need)) trail.push({ id: need, next: 0 });
    }
  }
  return found;
}
