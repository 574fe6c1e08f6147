import { requestDeploy, requestPromote, requestRollback, type Requested } from './engine/deploy/requests.ts';
import { environmentCalled, knownEnvironments } from './engine/deploy/environment.ts';
import { lock, unlock } from './engine/deploy/locks.ts';
import { environmentOf, specsOf, whereIs } from './engine/deploy/where.ts';
import { createContext } from './engine/commands/context.ts';
import { namedCommit } from './engine/commands/commit.ts';
import type { Parts } from './engine/parts.ts';
import { plainMarkdown } from './model/markdown.ts';
import { UserError } from './model/outcome.ts';
import type { EnvironmentSpec } from './model/pipeline.ts';
import type { Repository } from './model/repository.ts';
import type { Answered, Environments } from './web/environments.ts';
import { randomUUID } from 'node:crypto';

/**
 * Who asks: the server's own operator, with the token or signed in. GitHub isn't asked what they may. Nobody on GitHub can
 * be called so: they would have the operator's locks, and be called by every word of them.
 */
const operator = { login: '(operator)', via: 'api', operator: true } as const;

/** How long a page or the command line waits for what GitHub and the clusters say, milliseconds. */
const lookMs = 20_000;

/** What pages and the command line do of environments, by the engine. `wake`: goes on with a run. */
export function environmentActions(parts: Parts, wake: (runId: string) => Promise<void>): Environments {
  const specs = rememberedSpecs(parts);
  return {
    async where(repository, { live }) {
      const known = live ? { specs: await specs(repository) } : {};
      return await whereIs(parts, repository, AbortSignal.timeout(lookMs), { live, ...known });
    },

    deploy: (repository, { environment, ref }) =>
      told(async () => {
        const named = await called(parts, repository, environment);
        const commit = await namedCommit(asking(parts, repository, wake), ref ?? repository.defaultBranch);
        const ask = { repository, environment: named, by: operator, commit, number: null, request: randomUUID() };
        return () => requestDeploy(parts, ask, wake);
      }),

    rollback: (repository, { environment, to, overLock }) =>
      told(async () => {
        const by = operator;
        const ask = { repository, environment, to, overLock, by, number: null, request: randomUUID() };
        return () => requestRollback(parts, ask, wake);
      }),

    promote: (repository, { from, to }) =>
      told(async () => {
        const named = await called(parts, repository, to);
        const ask = { repository, from, to: named, by: operator, number: null, request: randomUUID() };
        return () => requestPromote(parts, ask, wake);
      }),

    lock: (repository, { environment, reason }) =>
      told(async () => {
        const named = environment === '' ? '' : await called(parts, repository, environment);
        return async () => {
          const { taken, lock: held } = await lock(parts, {
            repository,
            environment: named,
            owner: operator.login,
            reason,
            pullRequest: null,
          });
          const what = named === '' ? 'The whole repository' : named;
          if (taken) return accepted(`${what} is locked.`);
          return { kind: 'refused', message: `${what} is locked already, by ${held.owner}.` };
        };
      }),

    unlock: (repository, { environment }) =>
      told(async () => async () => {
        const asked = { repository, environment, by: operator.login, force: true, operator: true };
        const { kind, lock: held } = await unlock(parts, asked, wake);
        const what = environment === '' ? 'The whole repository' : environment;
        if (kind === 'released') return accepted(`${what} is unlocked. It was locked by ${held?.owner ?? 'nobody'}.`);
        const message = kind === 'none' ? `${what} isn't locked.` : `${what} is locked by ${held?.owner ?? 'another'}.`;
        return { kind: kind === 'none' ? 'unknown' : 'refused', message };
      }),

    cancel: (repository, { jobId }) =>
      told(async () => async () => {
        const { store } = parts;
        const found = (await store.runs.deploying(repository.id)).find(({ job }) => job.id === jobId);
        if (found === undefined) return { kind: 'unknown', message: 'That deployment is over already.' };
        const { run, job } = found;
        await store.runs.cancelJob(job.id, { reason: 'Cancelled by the operator.', by: 'person' });
        store.signals.send('run', run.id);
        void wake(run.id);
        return accepted(`The deployment to ${environmentOf(job) ?? ''} is being cancelled.`);
      }),
  };
}

/** How long a page may show the environments of an older pipeline file, milliseconds. */
const specsMs = 30_000;

/** Pages that are open look every few seconds: GitHub isn't asked for the file each time. */
function rememberedSpecs(parts: Parts): (repository: Repository) => Promise<readonly EnvironmentSpec[]> {
  const found = new Map<number, { readonly at: number; readonly specs: Promise<readonly EnvironmentSpec[]> }>();
  return async (repository) => {
    const now = performance.now();
    const known = found.get(repository.id);
    if (known !== undefined && now - known.at < specsMs) return await known.specs;
    const specs = specsOf(parts, repository, AbortSignal.timeout(lookMs));
    found.set(repository.id, { at: now, specs });
    try {
      return await specs;
    } catch (error) {
      found.delete(repository.id);
      throw error;
    }
  };
}

/**
 * Prepares and does it. What can't be prepared was asked for wrongly: there is no such environment or commit. Throws
 * PlatformError if GitHub or the store fails.
 */
async function told(prepare: () => Promise<() => Promise<Requested | Answered>>): Promise<Answered> {
  let carryOut: () => Promise<Requested | Answered>;
  try {
    carryOut = await prepare();
  } catch (error) {
    if (error instanceof UserError) return { kind: 'unknown', message: plainMarkdown(error.message) };
    throw error;
  }
  try {
    const answered = await carryOut();
    return { ...answered, message: plainMarkdown(answered.message) };
  } catch (error) {
    if (error instanceof UserError) return { kind: 'refused', message: plainMarkdown(error.message) };
    throw error;
  }
}

function accepted(message: string): Answered {
  return { kind: 'accepted', message, runId: null };
}

/** The environment as the default branch's file spells it; UserError with a guess if it names none like it. */
async function called(parts: Parts, repository: Repository, environment: string): Promise<string> {
  return environmentCalled(await knownEnvironments(parts, repository), environment, repository).name;
}

/** As if it were asked for on an issue: there is no pull request whose head could be meant. */
function asking(parts: Parts, repository: Repository, wake: (runId: string) => Promise<void>) {
  // Nothing lies between: what is named is what it names now, whatever GitHub's clock says.
  const at = parts.clock.now() + 3_600_000;
  const event = { kind: 'comment', repository, number: 0, onPullRequest: false, commentId: 0, body: '', at } as const;
  return createContext(parts, { ...event, actor: operator.login }, wake);
}
