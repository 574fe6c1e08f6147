import { environmentGroup } from '#src/model/concurrency.ts';
import type { PreviewSpec } from '#src/model/delivery.ts';
import type { Value } from '#src/model/evaluate.ts';
import type { PullRequestTrigger } from '#src/model/event.ts';
import type { PlannedJob } from '#src/model/plan.ts';
import { fillUrl } from './fill.ts';

/** A pull request's preview as the default branch has it, or why there is none although the commit asks for one. */
export type PreviewPlan =
  | { readonly kind: 'preview'; readonly spec: PreviewSpec }
  | { readonly kind: 'skipped'; readonly reason: string };

export const PREVIEW_KEY = 'preview';
export const PLAN_KEY = 'deployment plan';

const base = {
  needs: [],
  if: null,
  matrix: {},
  skip: null,
  continueOnError: false,
  retries: 0,
  concurrency: null,
  priority: 0,
} as const;

/** The job that makes the pull request's environment, behind the jobs that build its images. */
export function previewJob(
  preview: PreviewPlan,
  trigger: PullRequestTrigger,
  jobs: readonly PlannedJob[],
  event: Value,
): PlannedJob {
  const environment = `preview/pr-${trigger.number}`;
  const spec = preview.kind === 'preview' ? preview.spec : null;
  const images = Object.values(spec?.images ?? {});
  const builders = jobs.filter((job) => images.includes(job.id));
  return {
    ...base,
    key: PREVIEW_KEY,
    id: 'slipway:preview',
    needs: builders.map((job) => job.key),
    skip: preview.kind === 'skipped' ? preview.reason : problemOf(images, builders),
    timeoutMinutes: spec?.timeoutMinutes ?? 10,
    // Only the newest commit's is wanted.
    concurrency: { group: environmentGroup(environment), cancelInProgress: false, queue: 'single' },
    work: {
      kind: 'preview',
      environment,
      number: trigger.number,
      url: spec?.url ? fillUrl(spec.url, event, 'url of the preview') : null,
      manifests: spec?.manifests ?? [],
      images: spec?.images ?? {},
      keepMinutes: spec?.keepMinutes ?? 0,
    },
  };
}

/** Jobs by this name build for the preview what the run of the push built, and didn't push. */
const imagePrefix = `${PREVIEW_KEY} `;

/**
 * The jobs that build the preview's images, where the run of the push has all others: what they need is that run's. They
 * have names of their own, so that none stands for the push's job, which may be required.
 */
export function addedImages(all: readonly PlannedJob[], preview: PreviewPlan | null): readonly PlannedJob[] {
  if (preview?.kind !== 'preview') return [];
  const images = Object.values(preview.spec.images);
  const wanted = all.filter((job) => job.work.kind === 'image' && images.includes(job.id));
  const keys = new Map(wanted.map(({ key }) => [key, `${imagePrefix}${key}`]));
  return wanted.map((job) => ({
    ...job,
    key: keys.get(job.key) ?? job.key,
    needs: job.needs.map((need) => keys.get(need) ?? need),
  }));
}

/** The job of the push's run that one of `addedImages` is made from. */
export function keyAtPush(key: string): string {
  return key.startsWith(imagePrefix) ? key.slice(imagePrefix.length) : key;
}

/** Says what a deployment of the commit would change. */
export function planJob(environments: readonly string[]): PlannedJob {
  return { ...base, key: PLAN_KEY, id: 'slipway:plan', timeoutMinutes: 5, work: { kind: 'plan', environments } };
}

/** Why the images of the preview aren't built here, or null. The preview and the jobs are of different commits. */
function problemOf(images: readonly string[], builders: readonly PlannedJob[]): string | null {
  const missing = images.find((id) => !builders.some((job) => job.id === id && job.work.kind === 'image'));
  if (missing !== undefined) {
    return `The preview has the image of the job "${missing}", which the pipeline file of this commit doesn't build.`;
  }
  const skipped = builders.find((job) => job.skip !== null);
  return skipped ? `The job "${skipped.key}" doesn't build its image: ${skipped.skip}` : null;
}
