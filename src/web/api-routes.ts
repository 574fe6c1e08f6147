import express, { type ErrorRequestHandler, type Request, type RequestHandler, type Response, Router } from 'express';
import type { ZodType } from 'zod';
import type { EnvironmentStatus } from '#src/engine/deploy/where.ts';
import type { Store } from '#src/engine/store.ts';
import { imagesBrought } from '#src/model/image-short.ts';
import { PlatformError, UserError } from '#src/model/outcome.ts';
import { fullName, type Repository } from '#src/model/repository.ts';
import type { Job, Run } from '#src/model/run.ts';
import { type EnvironmentJson, requests } from './api-shapes.ts';
import { repositoryCalled } from './environment-routes.ts';
import type { Answered, Environments } from './environments.ts';
import type { Operator } from './operator.ts';
import type { Recorder } from './records.ts';
import type { Links } from './signer.ts';

interface ApiParts {
  readonly store: Store;
  readonly operator: Operator;
  readonly environments: Environments;
  readonly record: Recorder;
  /** Absolute addresses. */
  readonly links: Links;
  readonly onError: (error: unknown, path: string) => void;
}

/** /api/...: JSON for the command line, which has the operator's token. Answers {error} where it can't. */
export function apiRoutes({ store, operator, environments, record, links, onError }: ApiParts): Router {
  const router = Router();

  const onlyWithToken: RequestHandler = async (request, response, next) => {
    response.set('Cache-Control', 'no-store');
    if (operator.hasToken(request)) return next();
    const given = request.get('authorization') !== undefined;
    const text = !operator.configured
      ? 'This server has no SLIPWAY_TOKEN in its settings, so nobody may command it from elsewhere.'
      : given
        ? "The token isn't this server's SLIPWAY_TOKEN."
        : 'This needs the header Authorization: Bearer with the server’s SLIPWAY_TOKEN.';
    await record({ action: 'api', subject: request.path, decision: 'refused', reason: text });
    response.status(401).set('WWW-Authenticate', 'Bearer').json({ error: text });
  };
  router.use('/api', (request, response, next) => {
    // The webhook's path may lie here, too; it isn't ours.
    if (/^\/(?:environments|deploy|rollback|promote|lock|unlock)$/.test(request.path)) {
      return onlyWithToken(request, response, next);
    }
    next('router');
  });

  router.get('/api/environments', async (request, response) => {
    const repository = await find(response, request.query['repository']);
    if (repository === null) return;
    const statuses = await environments.where(repository, { live: true });
    response.json({
      repository: fullName(repository),
      environments: statuses.map((status) => toJson(status, links)),
    });
  });

  const json = express.json({ limit: '10kb' });

  function command<T extends { readonly repository: string }>(
    name: string,
    shape: ZodType<T>,
    carryOut: (repository: Repository, asked: T) => Promise<Answered>,
  ): void {
    router.post(`/api/${name}`, json, async (request, response) => {
      const parsed = shape.safeParse(request.body ?? {});
      if (!parsed.success) {
        const mistakes = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'The body'}: ${message}`);
        return response.status(400).json({ error: `${mistakes.join('; ')}.` });
      }
      const repository = await find(response, parsed.data.repository);
      if (repository === null) return;
      const answered = await carryOut(repository, parsed.data);
      if (answered.kind !== 'accepted') {
        return response.status(answered.kind === 'unknown' ? 404 : 409).json({ error: answered.message });
      }
      const { message, runId } = answered;
      response.json(runId === null ? { message } : { message, run: links.run(runId) });
    });
  }

  command('deploy', requests.deploy, (repository, { environment, ref = null }) =>
    environments.deploy(repository, { environment, ref }),
  );
  command('rollback', requests.rollback, (repository, { environment, to = null, overLock = false }) =>
    environments.rollback(repository, { environment, to, overLock }),
  );
  command('promote', requests.promote, (repository, { from, to }) => environments.promote(repository, { from, to }));
  command('lock', requests.lock, (repository, { environment, reason = '' }) =>
    environments.lock(repository, { environment, reason }),
  );
  command('unlock', requests.unlock, (repository, { environment }) => environments.unlock(repository, { environment }));

  async function find(response: Response, name: unknown): Promise<Repository | null> {
    if (typeof name !== 'string' || name === '') {
      response.status(400).json({ error: 'repository: is missing: OWNER/REPO.' });
      return null;
    }
    const repository = await repositoryCalled(store, name);
    if (repository === null) {
      const text = `This server knows no run of a repository ${JSON.stringify(name.slice(0, 200))}. Is the App installed there, and was something pushed since?`;
      response.status(404).json({ error: text });
    }
    return repository;
  }

  // Express takes a function for an error handler only if it has four parameters.
  const failed: ErrorRequestHandler = (error: unknown, request: Request, response: Response, _next) => {
    const { status } = error as { readonly status?: unknown };
    if (typeof status === 'number' && status >= 400 && status < 500) {
      return void response.status(status).json({ error: "The body isn't JSON that can be read." });
    }
    if (error instanceof UserError) return void response.status(409).json({ error: error.message });
    onError(error, request.path);
    if (error instanceof PlatformError) return void response.status(503).json({ error: error.message });
    response.status(500).json({ error: 'The server failed. Its log says why.' });
  };
  router.use('/api', failed);
  return router;
}

function toJson(status: EnvironmentStatus, links: Links): EnvironmentJson {
  const { environment, current, running, queue, lock, health } = status;
  const one = ({ run, job }: { readonly run: Run; readonly job: Job }) => ({
    sha: run.trigger.sha,
    by: run.trigger.actor,
    run: links.run(run.id),
    state: job.note ?? job.progress ?? job.state,
  });
  return {
    name: environment,
    current: current && {
      sha: current.sha,
      tag: current.details.tag ?? null,
      title: current.details.title ?? '',
      by: current.actor,
      since: current.details.healthyAt ?? current.updatedAt,
      images: [...imagesBrought(current)],
      url: current.details.url ?? null,
      run: links.run(current.runId),
    },
    health,
    running: running && one(running),
    queue: queue.map((waiting) => ({ ...one(waiting), position: waiting.position })),
    lock: lock && {
      owner: lock.owner,
      reason: lock.reason,
      since: lock.at,
      wholeRepository: lock.environment === '',
    },
  };
}
