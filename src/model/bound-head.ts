/** A head that a pull request had; see Head in the engine's store. Times are milliseconds since the epoch. */
export interface KnownHead {
  readonly sha: string;
  /** By GitHub's clock, in whole seconds; null where it didn't say. */
  readonly at: number | null;
  readonly receivedAt: number;
}

/** What a command in a comment is about. */
export type BoundHead =
  | { readonly kind: 'head'; readonly sha: string }
  /** `from`: the head before the comment, as far as that is known. */
  | { readonly kind: 'moved'; readonly from: string | null; readonly to: string };

/**
 * The commit that was the pull request's head when a comment was written (`at`), if it still is (`live`). The times have
 * whole seconds: a head of the comment's own second may have come before or after it, and counts as moved; so does the last
 * of two that came in one second, unless the pull request never had another. Without any record the live head counts.
 */
export function boundHead(heads: readonly KnownHead[], live: string, at: number): BoundHead {
  if (heads.length === 0) return { kind: 'head', sha: live };
  const sorted = heads.toSorted((a, b) => timeOf(a) - timeOf(b) || a.receivedAt - b.receivedAt);
  // The only head that it ever had was meant, if it was there in that second.
  const [first] = sorted;
  const only = sorted.every((head) => head.sha === live);
  if (first && only && seconds(timeOf(first)) <= seconds(at)) return { kind: 'head', sha: live };
  const before = sorted.filter((head) => isBefore(head, at));
  const last = before.at(-1);
  if (last === undefined) return { kind: 'moved', from: null, to: live };
  const since = sorted.filter((head) => !isBefore(head, at));
  // Of two in one second the order isn't told.
  const tied = before.some((head) => head.sha !== last.sha && seconds(timeOf(head)) === seconds(timeOf(last)));
  // What is told again of the commit that was the head anyway changed nothing.
  const unclear = since.some((head) => head.sha !== last.sha && !isAfter(head, at));
  return last.sha === live && !tied && !unclear
    ? { kind: 'head', sha: live }
    : { kind: 'moved', from: last.sha, to: live };
}

function timeOf(head: KnownHead): number {
  return head.at ?? head.receivedAt;
}

function isBefore(head: KnownHead, at: number): boolean {
  // What was received before the comment's second was the head before it, whatever GitHub says.
  return head.at === null ? head.receivedAt <= at : seconds(head.at) < seconds(at);
}

function isAfter(head: KnownHead, at: number): boolean {
  return head.at !== null && seconds(head.at) > seconds(at);
}

function seconds(ms: number): number {
  return Math.floor(ms / 1000);
}
