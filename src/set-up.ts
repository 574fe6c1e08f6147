import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { createSetup } from './adapters/github/setup.ts';
import { type Common, listenerOf, version } from './common.ts';
import type { AppCredentials } from './settings.ts';
import { webApp } from './web/app.ts';
import { createChanges } from './web/changes.ts';
import { createSigner } from './web/signer.ts';

/** The pages as long as no App is registered. */
export function setupListener(common: Common, open: (credentials: AppCredentials) => Promise<void>): RequestListener {
  const { settings, home, logger, store, secrets, logs, clock, baseUrl } = common;
  const token = randomBytes(12).toString('hex');
  const setup = createSetup({
    manifest: readFileSync(new URL('../app.yml', import.meta.url), 'utf8'),
    publicUrl: baseUrl,
    webhookPath: settings.WEBHOOK_PATH,
    redirectPath: '/setup/callback',
    host: settings.GHE_HOST,
    protocol: settings.GHE_PROTOCOL,
  });
  logger.warn({ page: `${baseUrl}/setup`, token }, 'no GitHub App yet: open the page and enter this one-time token');
  const pages = webApp({
    store,
    logs,
    changes: createChanges(),
    signer: createSigner(home.linkKey),
    clock,
    baseUrl,
    operatorToken: settings.SLIPWAY_TOKEN,
    sealKey: (repository) => secrets.sealKey(repository),
    checks: {
      database: () => store.ping(),
      github: () => Promise.reject(new Error('No GitHub App is registered yet; the set-up page does that.')),
    },
    cancel: async () => {},
    environments: null,
    setup: {
      token,
      flow: {
        begin: () => {
          const { action, manifest } = setup.registration(null);
          return { action, manifest, state: new URL(action).searchParams.get('state') ?? '' };
        },
        complete: async (code, state) => {
          const { slug, installUrl, ...credentials } = await setup.exchange(code, state);
          home.saveApp(credentials);
          logger.info({ app: credentials.appId, slug }, 'the GitHub App is registered');
          await open(credentials);
          return { name: slug, url: installUrl };
        },
      },
    },
    version: version(),
    onError: (error, path) => logger.error({ err: error, path }, 'a page failed'),
  });
  return listenerOf(pages);
}
