import { createHash } from 'node:crypto';
import { z } from 'zod';

/** Something that points at a commit: a ref or an open pull request. */
export interface Pointer {
  readonly name: string;
  /** What it points at; of an annotated tag the tag object. */
  readonly sha: string;
}

const known = z.object({
  etag: z.string().nullable(),
  /** Digests of the pointers, one behind the other; null if they are too many to be kept. */
  seen: z.string().nullable(),
});

/** The pointers of one kind as they were last seen. */
export type Known = z.infer<typeof known>;

const snapshot = z.object({
  /** What the list of repositories said of it. '' if that may have been too soon. */
  stamp: z.string(),
  /** When it was taken, milliseconds since the epoch. */
  at: z.number(),
  pulls: known,
  heads: known,
  tags: known,
});

/** What was last seen of a repository. */
export type Snapshot = z.infer<typeof snapshot>;

/** About 240 KB for each kind. */
const mostPointers = 20_000;
const digestLength = 12;

export const unseen: Known = { etag: null, seen: null };

/** The stored snapshot, or null if there is none that can be read. */
export function readSnapshot(text: string | null): Snapshot | null {
  if (text === null) return null;
  try {
    return snapshot.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** Pointers that are new or moved since. None if nothing was seen before: history isn't news. */
export function news<T extends Pointer>(before: Known, now: readonly T[]): readonly T[] {
  if (before.seen === null) return [];
  const digests = new Set<string>();
  for (let i = 0; i < before.seen.length; i += digestLength) digests.add(before.seen.slice(i, i + digestLength));
  return now.filter((pointer) => !digests.has(digestOf(pointer)));
}

export function seen(etag: string | null, now: readonly Pointer[]): Known {
  return { etag, seen: now.length > mostPointers ? null : now.map(digestOf).join('') };
}

function digestOf({ name, sha }: Pointer): string {
  return createHash('sha256').update(`${name}\0${sha}`).digest('base64url').slice(0, digestLength);
}
