import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import type { Hub } from './pulls.ts';
import type { App, Installation, Permissions, User, World } from './world.ts';

export interface AppOptions {
  readonly name?: string;
  /** Login of the App's owner; also where it is installed first. */
  readonly owner?: string;
  /** PEM; made if not given. */
  readonly privateKey?: string;
  readonly permissions?: Permissions;
  readonly events?: readonly string[];
  readonly webhook: { readonly url: string | null; readonly secret: string };
}

/** What Slipway needs, so that a test that says nothing gets a working App. */
const PERMISSIONS: Permissions = {
  checks: 'write',
  contents: 'read',
  deployments: 'write',
  issues: 'write',
  members: 'read',
  metadata: 'read',
  pull_requests: 'write',
  statuses: 'write',
};
const EVENTS = [
  'check_run',
  'check_suite',
  'create',
  'delete',
  'issue_comment',
  'merge_group',
  'pull_request',
  'push',
  'release',
];

export function registerApp(world: World, options: AppOptions): App {
  const privateKey =
    options.privateKey ??
    generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs1', format: 'pem' });
  const name = options.name ?? 'slipway';
  const slug = name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
  const app: App = {
    id: world.id(),
    slug,
    name,
    owner: world.user(options.owner ?? 'acme'),
    bot: world.user(`${slug}[bot]`, 'Bot'),
    clientId: `Iv23${randomBytes(8).toString('hex')}`,
    clientSecret: randomBytes(20).toString('hex'),
    publicKey: createPublicKey(createPrivateKey(privateKey)),
    privateKey,
    permissions: { metadata: 'read', ...(options.permissions ?? PERMISSIONS) },
    events: options.events ?? EVENTS,
    hook: { ...options.webhook },
    createdAt: Date.now(),
  };
  world.apps.set(app.id, app);
  return app;
}

/** Installs an App on all repositories of an account, present and future, and tells it so. */
export function install({ world, webhooks }: Hub, app: App, account: User): Installation {
  const installation = { id: world.id(), app, account, createdAt: Date.now() };
  world.installations.set(installation.id, installation);
  webhooks.installed(installation);
  return installation;
}
