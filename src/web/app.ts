import express, { type ErrorRequestHandler, type Express } from 'express';
import type { Clock, Logs } from '#src/engine/ports.ts';
import type { Store } from '#src/engine/store.ts';
import { isRepositoryName } from '#src/model/secret.ts';
import { apiRoutes } from './api-routes.ts';
import { loadAssets } from './assets.ts';
import { badgeState, badgeSvg } from './badge.ts';
import type { Changes } from './changes.ts';
import { environmentRoutes } from './environment-routes.ts';
import type { Environments } from './environments.ts';
import { type Checks, createReadiness } from './health.ts';
import { closedBody, homeBody, operatorNav, signInBody } from './home-page.ts';
import { message, page } from './layout.ts';
import { createOperator } from './operator.ts';
import { createRecord } from './records.ts';
import { securityHeaders, sendHtml } from './respond.ts';
import { runRoutes } from './run-routes.ts';
import { sameOriginOnly } from './same-origin.ts';
import type { Setup } from './setup-page.ts';
import { setupRoutes } from './setup-routes.ts';
import { createLinks, type Signer } from './signer.ts';

export interface WebParts {
  readonly store: Store;
  readonly logs: Logs;
  readonly changes: Changes;
  readonly signer: Signer;
  readonly clock: Clock;
  /** Where people reach the server, without a slash at the end. */
  readonly baseUrl: string;
  /** Token of the settings that opens the home page; null: it is closed. */
  readonly operatorToken: string | null;
  /** What /readyz asks. */
  readonly checks: Checks;
  /** The public key for sealing values for a repository (`owner/name`), a line. */
  readonly sealKey: (repository: string) => Promise<string>;
  /** Carries out what the operator asks for on a run's page. */
  readonly cancel: (runId: string) => Promise<void>;
  /** Null as long as no App is registered. */
  readonly environments: Environments | null;
  /** As long as no App is registered: the flow, and the one-time token that the log shows. */
  readonly setup: { readonly flow: Setup; readonly token: string } | null;
  readonly version: string;
  /** Told what went wrong behind a page, which itself says nothing of it. */
  readonly onError: (error: unknown, path: string) => void;
}

const runsAPage = 50;
const checkDeadline = 5_000;

/** The pages, badges and health of the server, as an Express app to be mounted or listened on. */
export function webApp(parts: WebParts): Express {
  const { store, signer, clock, setup } = parts;
  const assets = loadAssets();
  const links = createLinks('', signer);
  const absolute = createLinks(parts.baseUrl, signer);
  const https = parts.baseUrl.startsWith('https:');
  const operator = createOperator(parts.operatorToken, signer, clock, https);
  const record = createRecord(store.audit, clock);
  const app = express();
  app.disable('x-powered-by');
  app.use(securityHeaders(https));
  app.use(assets.router);
  app.use(
    sameOriginOnly(parts.baseUrl, async (request, response) => {
      const reason = 'The form was sent from a page of another site.';
      await record({ action: 'form', subject: request.path, decision: 'refused', reason });
      response.status(403);
      const text = 'This came from another site. Open the page on this server and press the button there.';
      await sendHtml(response, message(assets, 'Refused', text));
    }),
  );

  app.get('/healthz', (_request, response) => {
    response.set('Cache-Control', 'no-store').json({ status: 'alive', version: parts.version });
  });

  const askReady = createReadiness(parts.checks, checkDeadline, clock);
  app.get('/readyz', async (request, response) => {
    const { ready, checks, errors } = await askReady();
    const answer = operator.isSignedIn(request) ? { ready, checks, errors } : { ready, checks };
    response
      .status(ready ? 200 : 503)
      .set('Cache-Control', 'no-store')
      .json(answer);
  });

  app.get('/', async (request, response) => {
    if (setup) return response.redirect('/setup');
    if (!operator.configured) return sendHtml(response, page(assets, { title: 'Running', body: closedBody() }));
    if (!operator.isSignedIn(request)) {
      return sendHtml(response, page(assets, { title: 'Sign in', body: signInBody(false) }));
    }
    const { before } = request.query;
    const filter = typeof before === 'string' ? { before } : {};
    const runs = await store.runs.list({ ...filter, limit: runsAPage + 1 });
    const shown = runs.slice(0, runsAPage);
    const older = runs.length > runsAPage ? `/?before=${shown.at(-1)?.id ?? ''}` : null;
    const body = homeBody(shown, links, absolute, older, clock.now());
    await sendHtml(response, page(assets, { title: 'Runs', body, nav: operatorNav }));
  });

  const form = express.urlencoded({ extended: false, limit: '10kb' });
  app.post('/sign-in', form, async (request, response) => {
    const token = (request.body as { token?: unknown } | undefined)?.token;
    if (operator.signIn(token, response)) {
      await record({ action: 'sign-in', subject: 'operator', decision: 'allowed', reason: 'The token fits.' });
      return response.redirect(303, '/');
    }
    await record({ action: 'sign-in', subject: 'operator', decision: 'refused', reason: 'The token is wrong.' });
    response.status(401);
    await sendHtml(response, page(assets, { title: 'Sign in', body: signInBody(true) }));
  });

  app.post('/sign-out', (_request, response) => {
    operator.signOut(response);
    response.redirect(303, '/');
  });

  app.get('/badge/:owner/:file', async (request, response, next) => {
    const { owner, file } = request.params;
    if (!file.endsWith('.svg')) return next();
    const { branch, s } = request.query;
    const state = await badgeState(store.runs, signer, {
      repository: `${owner}/${file.slice(0, -'.svg'.length)}`,
      branch: typeof branch === 'string' && branch !== '' ? branch : null,
      signature: s,
    });
    // Other sites show it.
    response.set({ 'Cache-Control': 'no-cache', 'Cross-Origin-Resource-Policy': 'cross-origin' });
    response.type('image/svg+xml').send(badgeSvg(state));
  });

  // For any name, so that it tells nothing of which repositories there are.
  app.get('/:owner/:name/seal-key', async (request, response, next) => {
    const repository = `${request.params.owner}/${request.params.name}`;
    if (!isRepositoryName(repository)) return next();
    const key = await parts.sealKey(repository);
    response.set('Cache-Control', 'public, max-age=300').type('text/plain').send(`${key}\n`);
  });

  const isOperator = (request: express.Request) => operator.isSignedIn(request);
  app.use(runRoutes({ ...parts, isOperator, record }, links, assets));
  const { environments } = parts;
  if (environments) {
    app.get('/environments', async (request, response, next) => {
      if (isOperator(request)) return next();
      // Says no more than the first page does; a repository's page doesn't exist without its link.
      response.status(401);
      const body = operator.configured ? signInBody(false) : closedBody();
      await sendHtml(response, page(assets, { title: operator.configured ? 'Sign in' : 'Running', body }));
    });
    app.use(environmentRoutes({ ...parts, environments, isOperator, record }, links, assets, form));
    app.use(apiRoutes({ ...parts, environments, operator, record, links: absolute }));
  }
  if (setup) app.use(setupRoutes(setup, assets, form, record));

  app.use(async (_request, response) => {
    response.status(404);
    const text = 'There is nothing at this address. If a link led here, it may be incomplete: copy it whole.';
    await sendHtml(response, message(assets, 'Not found', text));
  });

  // Express takes a function for an error handler only if it has four parameters.
  const onError: ErrorRequestHandler = async (error: unknown, request, response, _next) => {
    const status = statusOfError(error);
    if (status >= 500) parts.onError(error, request.path);
    // What was begun can only be broken off.
    if (response.headersSent) return void response.destroy();
    response.status(status);
    if (status < 500) return sendHtml(response, message(assets, 'Not understood', 'The request is malformed.'));
    const text = "The server couldn't make this page. Its log says why. Try again in a moment.";
    await sendHtml(response, message(assets, 'Something went wrong', text));
  };
  app.use(onError);
  return app;
}

/** Express marks what the client did wrong (a malformed address, say) with its status. */
function statusOfError(error: unknown): number {
  const { status } = error as { status?: unknown };
  return typeof status === 'number' && status >= 400 && status < 500 ? status : 500;
}
