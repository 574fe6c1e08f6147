import { isUnknown, list, quoted, short, type Unknown } from './words.ts';

/** What an environment that comes before runs now. */
export interface OrderFact {
  readonly environment: string;
  /** A deployment of this very commit to it is under way, or waits. */
  readonly coming: boolean;
  /** Null: no deployment to it is known that succeeded and wasn't replaced. */
  readonly there: There | null;
}

export interface There {
  readonly sha: string;
  readonly tag: string | null;
  /** Digests by image job. */
  readonly images: Readonly<Record<string, string>>;
  /** As its cluster says now: null if all is well, otherwise a sentence. */
  readonly trouble: string | null | Unknown;
}

export type OrderVerdict =
  | { readonly kind: 'go' }
  /** It may be there soon. */
  | { readonly kind: 'coming' | 'unknown'; readonly reason: string }
  | { readonly kind: 'refuse'; readonly reason: string };

/**
 * Whether the digests (by image job) are healthy in an environment that comes before, as far as both environments get them.
 * `sha`: the commit that they are of.
 */
export function judgeOrder(fact: OrderFact, wanted: Readonly<Record<string, string>>, sha: string): OrderVerdict {
  const reason = problem(fact, wanted, sha);
  if (reason === null) return { kind: 'go' };
  if (isUnknown(reason)) return { kind: 'unknown', reason: reason.unknown };
  return { kind: fact.coming ? 'coming' : 'refuse', reason };
}

function problem(
  { environment, there }: OrderFact,
  wanted: Readonly<Record<string, string>>,
  sha: string,
): string | null | Unknown {
  if (there === null) return `Nothing healthy is known of ${environment}.`;
  const runs = `${environment} runs ${short(there.sha)}${there.tag === null ? '' : ` (${there.tag})`}`;
  const jobs = Object.keys(wanted);
  if (jobs.length === 0) return `The images of ${short(sha)} aren't known, and ${runs}.`;
  // What only the later environment gets can't have been there.
  const both = jobs.filter((job) => own(there.images, job) !== undefined);
  const other = both.filter((job) => !sameDigest(own(there.images, job), own(wanted, job)));
  if (other.length > 0 || both.length === 0) {
    if (there.sha !== sha) return `${runs} and not ${short(sha)}.`;
    if (both.length === 0) return `${environment} doesn't run the image of ${list(jobs.map(quoted))}.`;
    return `${runs}, but with another image of ${list(other.map(quoted))}: ${other.map((job) => own(there.images, job)).join(', ')}.`;
  }
  if (there.trouble === null || isUnknown(there.trouble)) return there.trouble;
  return `${runs}, but it isn't healthy there: ${there.trouble}`;
}

/** Jobs may be called like what every object has. */
function own(images: Readonly<Record<string, string>>, job: string): string | undefined {
  return Object.hasOwn(images, job) ? images[job] : undefined;
}

/** The digest tells what runs, from whichever registry it came. */
function sameDigest(one: string | undefined, other: string | undefined): boolean {
  const [a, b] = [digestOf(one), digestOf(other)];
  return a !== null && a === b;
}

/** `sha256:...` of an image that is named by its digest; null: it isn't. */
export function digestOf(image: string | undefined): string | null {
  return /@(\w+:\w+)$/.exec(image ?? '')?.[1] ?? null;
}
