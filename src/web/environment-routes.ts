import { type Request, type RequestHandler, type Response, Router } from 'express';
import { html } from 'hono/html';
import type { Clock } from '#src/engine/ports.ts';
import type { Store } from '#src/engine/store.ts';
import { fullName, type Repository } from '#src/model/repository.ts';
import { isRepositoryName } from '#src/model/secret.ts';
import type { Assets } from './assets.ts';
import type { Changes } from './changes.ts';
import { type EnvironmentAction, environmentActions } from './environment-forms.ts';
import { environmentsBody, type ShownEnvironment } from './environment-page.ts';
import { overviewBody } from './environments-overview.ts';
import type { Answered, Environments } from './environments.ts';
import { heartbeat, openEventStream } from './event-stream.ts';
import { type Html, page } from './layout.ts';
import type { Recorder } from './records.ts';
import { sendHtml } from './respond.ts';
import { environmentsSubject, type Links, type Signer } from './signer.ts';

interface EnvironmentRouteParts {
  readonly store: Store;
  readonly changes: Changes;
  readonly signer: Signer;
  readonly clock: Clock;
  readonly environments: Environments;
  readonly isOperator: (request: Request) => boolean;
  readonly record: Recorder;
}

/** How many deployments of an environment are shown. */
const historyShown = 20;

/** /environments/...: what is where, for the operator and for whoever has the signed link of a repository's page. */
export function environmentRoutes(
  parts: EnvironmentRouteParts,
  links: Links,
  assets: Assets,
  form: RequestHandler,
): Router {
  const { store, changes, signer, environments, isOperator, record } = parts;
  const router = Router();

  router.get('/environments', async (request, response, next) => {
    if (!isOperator(request)) return next();
    const deployed = await store.deployments.repositories();
    const found = await Promise.all(deployed.map(({ repository }) => repositoryCalled(store, repository)));
    const repositories = found.filter((repository) => repository !== null);
    const all = await Promise.all(
      repositories.map(async (repository) => ({
        repository,
        statuses: await environments.where(repository, { live: false }),
      })),
    );
    await sendHtml(response, page(assets, { title: 'Environments', body: overviewBody(all, links) }));
  });

  router.get('/environments/:owner/:name', async (request, response, next) => {
    const repository = await readable(request);
    if (repository === null) return next();
    const operator = isOperator(request);
    const query = operator ? '' : `?s=${signer.sign(environmentsSubject(repository))}`;
    const events = `/environments/${fullName(repository)}/events${query}`;
    const content = html`<article id="live" data-events="${events}">${await body(repository, operator)}</article>
<noscript><p class="note">Load the page again to see what has come since.</p></noscript>`;
    const title = `Environments · ${repository.name}`;
    await sendHtml(response, page(assets, { title, body: content, ...(operator ? { nav: allLink } : {}) }));
  });

  // What is asked for without its content must not open a stream.
  router.head('/environments/:owner/:name/events', (_request, response) => {
    response.set('Cache-Control', 'no-store').end();
  });

  router.get('/environments/:owner/:name/events', async (request, response, next) => {
    const repository = await readable(request);
    if (repository === null) return next();
    const operator = isOperator(request);
    const stream = openEventStream(request, response);
    let subscribed: (() => void)[] = [];
    let sent = '';
    try {
      while (!stream.signal.aborted) {
        for (const end of subscribed) end();
        const deploying = await store.runs.deploying(repository.id);
        subscribed = [...new Set(deploying.map(({ run }) => run.id))].map((id) => changes.subscribe(id, stream.wake));
        const text = String(await body(repository, operator));
        if (text !== sent) await stream.send('state', { live: text });
        sent = text;
        await stream.pause(heartbeat);
      }
    } finally {
      for (const end of subscribed) end();
      stream.end();
    }
  });

  for (const action of environmentActions) {
    router.post(`/environments/:owner/:name/${action}`, form, async (request, response, next) => {
      const repository = await repositoryCalled(store, nameIn(request));
      if (repository === null) return next();
      const fields = (request.body ?? {}) as Readonly<Record<string, unknown>>;
      const field = (name: string) => (typeof fields[name] === 'string' ? fields[name].trim() : '');
      const about = { action: `${action} form`, repository: fullName(repository), subject: subjectOf(action, field) };
      if (!isOperator(request)) {
        await record({ ...about, decision: 'refused', reason: 'Only the operator may, signed in.' });
        return next();
      }
      const answered = await carryOut(environments, repository, action, field);
      const decision = answered.kind === 'accepted' ? 'allowed' : 'refused';
      await record({ ...about, decision, reason: `A button on the page of environments. ${answered.message}` });
      await answer(response, repository, action, answered);
    });
  }

  /** The repository, for whoever may read the page of its environments. */
  async function readable(request: Request): Promise<Repository | null> {
    const [owner = '', name = ''] = nameIn(request).split('/');
    const signed = signer.verify(environmentsSubject({ owner, name }), request.query['s']);
    return signed || isOperator(request) ? repositoryCalled(store, `${owner}/${name}`) : null;
  }

  async function body(repository: Repository, operator: boolean): Promise<Html> {
    const statuses = await environments.where(repository, { live: true });
    const shown = await Promise.all(
      statuses.map(
        async (status): Promise<ShownEnvironment> => ({
          status,
          history: await store.deployments.list(repository.id, status.environment, historyShown),
        }),
      ),
    );
    return environmentsBody(repository, shown, links, operator);
  }

  async function answer(
    response: Response,
    repository: Repository,
    action: EnvironmentAction,
    answered: Answered,
  ): Promise<void> {
    const back = `/environments/${fullName(repository)}`;
    if (answered.kind === 'accepted') {
      return response.redirect(303, answered.runId === null ? back : links.run(answered.runId));
    }
    response.status(answered.kind === 'unknown' ? 404 : 409);
    const content = html`<section class="notice"><h1>Not done: ${action}</h1><p class="reason" role="alert">${answered.message}</p>
<p><a class="button" href="${back}">Back to the environments</a></p></section>`;
    await sendHtml(response, page(assets, { title: `Not done: ${action}`, body: content }));
  }

  return router;
}

const allLink = html`<a href="/environments">All environments</a>`;

function carryOut(
  environments: Environments,
  repository: Repository,
  action: EnvironmentAction,
  field: (name: string) => string,
): Promise<Answered> {
  const environment = field('environment');
  switch (action) {
    case 'rollback':
      return environments.rollback(repository, {
        environment,
        to: field('to') || null,
        overLock: field('overLock') !== '',
      });
    case 'promote':
      return environments.promote(repository, { from: field('from'), to: field('to') });
    case 'lock':
      return environments.lock(repository, { environment, reason: field('reason').slice(0, 200) });
    case 'unlock':
      return environments.unlock(repository, { environment });
    case 'cancel':
      return environments.cancel(repository, { jobId: field('job') });
  }
}

function subjectOf(action: EnvironmentAction, field: (name: string) => string): string {
  if (action === 'promote') return `${field('from')} to ${field('to')}`.slice(0, 200);
  return (action === 'cancel' ? `job ${field('job')}` : field('environment') || 'all').slice(0, 200);
}

function nameIn(request: Request): string {
  return `${String(request.params['owner'])}/${String(request.params['name'])}`;
}

/** As its newest run has it; null: no run of such a repository is known. */
export async function repositoryCalled(store: Store, name: string): Promise<Repository | null> {
  if (!isRepositoryName(name)) return null;
  const [run] = await store.runs.list({ repository: name, limit: 1 });
  return run?.repository ?? null;
}
