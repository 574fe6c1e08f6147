import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { html } from 'hono/html';
import { install, registerApp } from './apps.ts';
import { sendPage } from './layout.ts';
import type { Hub } from './pulls.ts';
import type { Body, Permissions } from './world.ts';

/**
 * The manifest flow (https://docs.github.com/apps, registering from a manifest): the App's server posts a form
 * with the manifest, a person confirms, and GitHub sends them back with a code that is exchanged once.
 */
export async function serveNewApp(
  hub: Hub,
  request: IncomingMessage,
  response: ServerResponse,
  url: URL,
): Promise<void> {
  const form = request.method === 'POST' ? await readForm(request) : new URLSearchParams();
  const text = form.get('manifest');
  const manifest = text === null ? null : parse(text);
  const mistakes = manifest ? mistakesOf(manifest) : ['There is no manifest in the form.'];
  if (!manifest || mistakes.length > 0) {
    await sendPage(response, 422, 'Register an App', html`<ul>${mistakes.map((each) => html`<li>${each}</li>`)}</ul>`);
    return;
  }
  const state = url.searchParams.get('state') ?? form.get('state') ?? '';
  const name = form.get('name');
  if (name === null) {
    await sendPage(
      response,
      200,
      'Register an App',
      html`<form method="post" action="/settings/apps/new">
        <input type="hidden" name="manifest" value="${JSON.stringify(manifest)}" />
        <input type="hidden" name="state" value="${state}" />
        <label>Name <input name="name" value="${String(manifest['name'] ?? 'slipway')}" required /></label>
        <p>Permissions: <code>${JSON.stringify(manifest['default_permissions'] ?? {})}</code></p>
        <p>Events: <code>${JSON.stringify(manifest['default_events'] ?? [])}</code></p>
        <button>Create GitHub App</button>
      </form>`,
    );
    return;
  }
  const hook = manifest['hook_attributes'] as Body | undefined;
  const app = registerApp(hub.world, {
    name,
    permissions: (manifest['default_permissions'] ?? {}) as Permissions,
    events: (manifest['default_events'] ?? []) as string[],
    webhook: { url: hook ? String(hook['url']) : null, secret: randomBytes(20).toString('hex') },
  });
  const code = randomBytes(20).toString('hex');
  hub.world.manifests.set(code, app);
  hub.webhooks.ping(app);
  const back = new URL(String(manifest['redirect_url']));
  back.searchParams.set('code', code);
  if (state) back.searchParams.set('state', state);
  response.writeHead(302, { location: back.href }).end();
}

/** `/apps/SLUG/installations/new`: the accounts to install on, and the installing. */
export async function serveInstall(
  hub: Hub,
  request: IncomingMessage,
  response: ServerResponse,
  slug: string,
): Promise<void> {
  const app = [...hub.world.apps.values()].find((each) => each.slug === slug);
  if (!app) {
    await sendPage(response, 404, 'Not found', html`<p>There is no App ${slug}.</p>`);
    return;
  }
  if (request.method === 'POST') {
    install(hub, app, hub.world.user((await readForm(request)).get('account') ?? ''));
    await sendPage(response, 200, 'Installed', html`<p>${app.name} is installed.</p>`);
    return;
  }
  const accounts = new Set([...hub.world.repos.values()].map(({ owner }) => owner.login));
  const buttons = [...accounts].map(
    (login) => html`<button name="account" value="${login}">Install on ${login}</button> `,
  );
  await sendPage(response, 200, `Install ${app.name}`, html`<form method="post">${buttons}</form>`);
}

function mistakesOf(manifest: Body): string[] {
  const hook = manifest['hook_attributes'] as Body | undefined;
  return [
    ...(URL.canParse(String(manifest['url'])) ? [] : ['The manifest needs an url.']),
    ...(URL.canParse(String(manifest['redirect_url'])) ? [] : ['The manifest needs a redirect_url.']),
    ...(hook && !URL.canParse(String(hook['url'])) ? ['hook_attributes needs an url.'] : []),
  ];
}

function parse(text: string): Body | null {
  try {
    return JSON.parse(text) as Body;
  } catch {
    return null;
  }
}

async function readForm(request: IncomingMessage): Promise<URLSearchParams> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return new URLSearchParams(Buffer.concat(chunks).toString('utf8'));
}
