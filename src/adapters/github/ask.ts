import { setTimeout as sleep } from 'node:timers/promises';
import { faultOf } from './faults.ts';
import type { Client, Urgency } from './github.ts';

/** An answer to a question that nobody waits for. */
export interface Page {
  readonly data: unknown;
  /** For asking again; null if GitHub gave none. */
  readonly etag: string | null;
  /** Address of the page behind it, or null. */
  readonly next: string | null;
  /** GitHub's time, milliseconds since the epoch, or null. */
  readonly at: number | null;
}

export interface Question {
  /** As Octokit takes it: `GET /repos/{owner}/{repo}/pulls`, or the address of a next page. */
  readonly route: string;
  readonly parameters?: Readonly<Record<string, unknown>>;
  /** Of the answer that is known: the same answer then costs nothing of the hour's requests. */
  readonly etag?: string | null;
  /** Asked again if GitHub fails for a moment. An installation's client does that by itself, the App's doesn't. */
  readonly again?: boolean;
}

/** After everything else, and not waited for when the hour's requests are used up. */
const patient: Urgency = { priority: 2, patienceMs: 60_000 };
const pausesMs = [250, 1_000];

/**
 * Asks GitHub; null if the answer is still the known one. Throws what Octokit throws, and at once the signal's reason
 * when it is aborted.
 */
export async function ask(client: Client, question: Question, signal: AbortSignal): Promise<Page | null> {
  for (let attempt = 0; ; attempt += 1) {
    signal.throwIfAborted();
    try {
      return await unlessAborted(signal, send(client, question, signal));
    } catch (error) {
      signal.throwIfAborted();
      if (statusOf(error) === 304) return null;
      const pause = pausesMs[attempt];
      if (!question.again || pause === undefined || faultOf(error, Date.now()).kind !== 'transient') throw error;
      await sleep(pause, undefined, { ref: false, signal });
    }
  }
}

/** All pages of an answer, at most `most` of them. Nothing if the first is still the known one. */
export async function* pages(
  client: Client,
  question: Question,
  signal: AbortSignal,
  most = Number.POSITIVE_INFINITY,
): AsyncGenerator<Page> {
  let page = await ask(client, question, signal);
  for (let count = 1; page !== null; count += 1) {
    yield page;
    if (page.next === null || count >= most) return;
    page = await ask(client, { route: `GET ${page.next}`, again: question.again ?? false }, signal);
  }
}

/** The status of GitHub's refusal, or null if it is none. */
export function statusOf(error: unknown): number | null {
  return error instanceof Error && 'status' in error && typeof error.status === 'number' ? error.status : null;
}

/** The work's result, or the signal's reason if it is aborted before. */
export async function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  // Nobody hears of what it comes to if the signal is first.
  work.catch(() => undefined);
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const end = () => reject(signal.reason);
  signal.addEventListener('abort', end, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', end);
  }
}

async function send(client: Client, { route, parameters, etag }: Question, signal: AbortSignal): Promise<Page> {
  const answer = await client.request(route, {
    ...parameters,
    ...(etag ? { headers: { 'if-none-match': etag } } : {}),
    request: { ...patient, signal },
  });
  const at = Date.parse(answer.headers.date ?? '');
  return {
    data: answer.data as unknown,
    etag: answer.headers.etag ?? null,
    next: /<([^>]+)>;\s*rel="next"/.exec(answer.headers.link ?? '')?.[1] ?? null,
    at: Number.isNaN(at) ? null : at,
  };
}
