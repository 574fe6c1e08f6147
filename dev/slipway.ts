import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import type { GitHub } from './github/index.ts';
import type { App, Permissions } from './github/world.ts';
import { settingsTable } from '#src/settings.ts';

const root = new URL('../', import.meta.url);

/** The program that the server is, for Node. */
export const serverProgram = new URL('src/main.ts', root).pathname;

/**
 * Registers Slipway on the small GitHub as app.yml has it, with no more rights than a real one would get unless
 * `permissions` grants some. Answers the App and the settings of a server for it, to be given as a process's environment.
 */
export async function registerSlipway(
  github: GitHub,
  server: { readonly port: number; readonly home: string; readonly permissions?: Permissions },
): Promise<{ readonly app: App; readonly env: Readonly<Record<string, string>> }> {
  const manifest = parse(await readFile(new URL('app.yml', root), 'utf8')) as {
    default_permissions: Record<string, 'read' | 'write'>;
    default_events: string[];
  };
  const secret = randomBytes(16).toString('hex');
  const app = github.registerApp({
    owner: 'acme',
    permissions: { ...manifest.default_permissions, ...server.permissions },
    events: manifest.default_events,
    webhook: { url: `http://127.0.0.1:${server.port}/api/github/webhooks`, secret },
  });
  // None of the settings of whoever runs this may leak in.
  const unset = Object.fromEntries(Object.keys(settingsTable).map((name) => [name, '']));
  return {
    app,
    env: {
      ...unset,
      APP_ID: String(app.id),
      PRIVATE_KEY: app.privateKey,
      WEBHOOK_SECRET: secret,
      GHE_HOST: github.host,
      GHE_PROTOCOL: 'http',
      PORT: String(server.port),
      HOST: '127.0.0.1',
      SLIPWAY_URL: `http://127.0.0.1:${server.port}`,
      SLIPWAY_HOME: server.home,
      LOG_LEVEL: 'info',
    },
  };
}
