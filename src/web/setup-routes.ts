import { type RequestHandler, Router } from 'express';
import { UserError } from '#src/model/outcome.ts';
import type { Assets } from './assets.ts';
import { message, page } from './layout.ts';
import type { Recorder } from './records.ts';
import { sendHtml } from './respond.ts';
import { askTokenBody, manifestBody, registeredBody, type Setup } from './setup-page.ts';
import { sameText } from './signer.ts';

const about = { action: 'set-up', subject: 'GitHub App' };

/** /setup, as long as no App is registered. */
export function setupRoutes(
  { flow, token }: { readonly flow: Setup; readonly token: string },
  assets: Assets,
  form: RequestHandler,
  record: Recorder,
): Router {
  const router = Router();

  router.get('/setup', async (_request, response) => {
    await sendHtml(response, page(assets, { title: 'Set up', body: askTokenBody(false) }));
  });

  router.post('/setup', form, async (request, response) => {
    const { token: given, organization } = (request.body ?? {}) as { token?: unknown; organization?: unknown };
    if (typeof given !== 'string' || !sameText(token, given.trim())) {
      await record({ ...about, decision: 'refused', reason: "The token isn't the one of the log." });
      response.status(401);
      return sendHtml(response, page(assets, { title: 'Set up', body: askTokenBody(true) }));
    }
    const start = flow.begin(typeof organization === 'string' && organization !== '' ? organization : null);
    const body = manifestBody(start);
    await sendHtml(response, page(assets, { title: 'Register the App', body }), new URL(start.action).origin);
  });

  // GitHub sends the browser here. Only who had the token knows a state, so the state is the permission.
  router.get('/setup/callback', async (request, response) => {
    const { code, state } = request.query;
    try {
      if (typeof code !== 'string' || typeof state !== 'string') {
        throw new UserError('GitHub sent no code. Start again at /setup.');
      }
      const registered = await flow.complete(code, state);
      await record({ ...about, decision: 'allowed', reason: `The GitHub App ${registered.name} is registered.` });
      await sendHtml(response, page(assets, { title: 'Registered', body: registeredBody(registered) }));
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      await record({ ...about, decision: 'refused', reason: error.message });
      response.status(400);
      await sendHtml(response, message(assets, 'Not registered', error.message));
    }
  });
  return router;
}
