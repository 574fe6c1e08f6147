import { PlatformError } from '#src/model/outcome.ts';
import type { Repository } from '#src/model/repository.ts';
import { asPlatformError, faultOf } from './faults.ts';
import type { Client, GitHub, Urgency } from './github.ts';

/** People wait for these answers: they go before everything else, and are given up after a minute. */
const urgent: Urgency = { priority: 0, patienceMs: 60_000 };

/** Parameters of a request that somebody waits for. */
export interface At {
  readonly owner: string;
  readonly repo: string;
  readonly request: Urgency & Record<string, unknown>;
}

/** Sends a request about one repository. Throws what Octokit throws. */
export type Asking = <T>(repository: Repository, request: (client: Client, at: At) => Promise<T>) => Promise<T>;

export function createAsking(github: Pick<GitHub, 'client'>): Asking {
  return async (repository, request) => {
    const client = await github.client(repository.installationId);
    return request(client, { owner: repository.owner, repo: repository.name, request: { ...urgent } });
  };
}

/** The answer, or a PlatformError that says what GitHub could not be asked to do. */
export async function orThrow<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asPlatformError(what, error);
  }
}

/** As `orThrow`, and null where GitHub answers with one of these statuses: there is no such thing. */
export async function orNull<T>(
  what: string,
  work: () => Promise<T>,
  statuses: readonly number[] = [404],
): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    const fault = faultOf(error, Date.now());
    if (fault.kind === 'permanent' && statuses.includes(fault.status)) return null;
    throw asPlatformError(what, error);
  }
}

const perPage = 100;

/** What all pages of an answer hold together; PlatformError if there are more than `most`: a part could mislead. */
export async function everyPage<T>(
  most: number,
  ask: (page: { readonly per_page: number; readonly page: number }) => Promise<readonly T[]>,
): Promise<readonly T[]> {
  const all: T[] = [];
  for (let page = 1; page <= most; page += 1) {
    const found = await ask({ per_page: perPage, page });
    all.push(...found);
    if (found.length < perPage) return all;
  }
  throw new PlatformError(`GitHub lists more than ${most * perPage} entries, which is too much to look at`);
}
