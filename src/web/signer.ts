import { createHmac, timingSafeEqual } from 'node:crypto';
import { fullName, type Repository } from '#src/model/repository.ts';

/**
 * Signs what a link gives access to, so that only who was given the link has it: the pages of private
 * repositories are shown without signing in.
 */
export interface Signer {
  /** Signature of a run's id, for the `s` of the pages of the run and its jobs. */
  sign(runId: string): string;
  verify(runId: string, signature: unknown): boolean;
}

/** `key` are at least 32 random bytes, kept with the data: with another key, all links given out become invalid. */
export function createSigner(key: Buffer): Signer {
  if (key.length < 32) throw new RangeError(`The key of the links has ${key.length} bytes, 32 are needed.`);
  const sign = (text: string) => createHmac('sha256', key).update(text).digest('base64url');
  return {
    sign,
    verify: (text, signature) => typeof signature === 'string' && sameText(sign(text), signature),
  };
}

/** What is signed for the badge of a private repository. Run ids have no colon, so it can't be one of theirs. */
export function badgeSubject(repository: Pick<Repository, 'owner' | 'name'>): string {
  return `badge:${fullName(repository).toLowerCase()}`;
}

/** What is signed for the page of a repository's environments. */
export function environmentsSubject(repository: Pick<Repository, 'owner' | 'name'>): string {
  return `environments:${fullName(repository).toLowerCase()}`;
}

/** Compares in a time that doesn't depend on where the texts differ. */
export function sameText(expected: string, given: string): boolean {
  const digest = (text: string) => createHmac('sha256', 'compare').update(text).digest();
  return timingSafeEqual(digest(expected), digest(given));
}

export interface Links {
  run(runId: string): string;
  /** Takes a POST of the operator's. */
  cancel(runId: string): string;
  job(runId: string, jobId: string): string;
  /** The whole log as a file; without `attempt` the newest. */
  log(runId: string, jobId: string, attempt?: number): string;
  badge(repository: Repository, branch: string | null): string;
  /** What is where, to be read by whoever has the link. */
  environments(repository: Pick<Repository, 'owner' | 'name'>): string;
}

/** Addresses of the pages, with their signatures. `baseUrl` has no slash at its end; '' makes paths. */
export function createLinks(baseUrl: string, signer: Signer): Links {
  const signed = (path: string, runId: string) => `${baseUrl}${path}?s=${signer.sign(runId)}`;
  return {
    run: (runId) => signed(`/runs/${runId}`, runId),
    cancel: (runId) => signed(`/runs/${runId}/cancel`, runId),
    job: (runId, jobId) => signed(`/runs/${runId}/jobs/${jobId}`, runId),
    log: (runId, jobId, attempt) =>
      `${signed(`/runs/${runId}/jobs/${jobId}/log`, runId)}${attempt === undefined ? '' : `&attempt=${attempt}`}`,
    badge(repository, branch) {
      const query = new URLSearchParams();
      if (branch !== null) query.set('branch', branch);
      if (repository.private) query.set('s', signer.sign(badgeSubject(repository)));
      const text = query.size > 0 ? `?${query.toString()}` : '';
      return `${baseUrl}/badge/${fullName(repository)}.svg${text}`;
    },
    environments: (repository) =>
      `${baseUrl}/environments/${fullName(repository)}?s=${signer.sign(environmentsSubject(repository))}`,
  };
}
