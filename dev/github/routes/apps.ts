import { issueToken, permits, reaches } from '../auth.ts';
import { appOf, type Answer, type Call, created, ok, paged, type Routes } from '../call.ts';
import { notFound, Refusal } from '../refusal.ts';
import { appView, installationView, repositoryView, userView } from '../views.ts';
import { isoTime } from '../world.ts';
import type { App, Installation, Permissions, World } from '../world.ts';

export const APP_ROUTES: Routes = {
  'GET /meta': { as: 'anyone', handle: () => ok({ verifiable_password_authentication: false }) },
  'GET /rate_limit': { as: 'anyone', handle: rateLimit },
  'GET /users/{username}': { as: 'anyone', handle: user },
  'GET /app': { as: 'app', handle: (call) => ok(appDetails(call.world, appOf(call))) },
  'GET /app/installations': { as: 'app', handle: installations },
  'GET /app/installations/{installation_id}': {
    as: 'app',
    handle: (call) => ok(installationView(call.world, installationOf(call))),
  },
  'POST /app/installations/{installation_id}/access_tokens': { as: 'app', handle: accessToken },
  'POST /app-manifests/{code}/conversions': { as: 'anyone', handle: convertManifest },
  'GET /installation/repositories': { as: 'installation', handle: repositories },
  'GET /repos/{owner}/{repo}/installation': {
    needs: ['app', 'read'],
    handle: (call) => {
      const found = call.world.installationsOf(call.repo).find(({ app }) => app.id === appOf(call).id);
      if (!found) throw notFound();
      return ok(installationView(call.world, found));
    },
  },
};

function accessToken(call: Call): Answer {
  const installation = installationOf(call);
  const permissions = (call.body['permissions'] ?? installation.app.permissions) as Permissions;
  for (const [name, level] of Object.entries(permissions)) {
    if (!permits(installation.app.permissions, name, level)) {
      throw new Refusal(422, 'The permissions requested are not granted to this installation.');
    }
  }
  const all = [...call.world.repos.values()].filter((repo) => repo.owner.id === installation.account.id);
  const ids = (call.body['repository_ids'] ?? []) as number[];
  const names = (call.body['repositories'] ?? []) as string[];
  const chosen = [
    ...ids.map((id) => all.find((repo) => repo.id === id)),
    ...names.map((name) => all.find((repo) => repo.name.toLowerCase() === name.toLowerCase())),
  ];
  if (chosen.includes(undefined)) {
    throw new Refusal(
      422,
      'There is at least one repository that does not exist or is not accessible to the parent installation.',
    );
  }
  const narrowed = chosen.filter((repo) => repo !== undefined);
  const set = narrowed.length > 0 ? new Set(narrowed.map(({ id }) => id)) : null;
  const { value, token } = issueToken(call.world, installation, { metadata: 'read', ...permissions }, set);
  return created({
    token: value,
    expires_at: isoTime(token.expiresAt),
    permissions: token.permissions,
    repository_selection: set ? 'selected' : 'all',
    ...(set && { repositories: narrowed.map((repo) => repositoryView(call.world, repo)) }),
  });
}

function appDetails(world: World, app: App): Record<string, unknown> {
  const count = [...world.installations.values()].filter((installation) => installation.app.id === app.id).length;
  return { ...appView(world, app), installations_count: count };
}

function installations(call: Call): Answer {
  const own = [...call.world.installations.values()].filter(({ app }) => app.id === appOf(call).id);
  const { page, headers } = paged(call, own);
  return { status: 200, body: page.map((installation) => installationView(call.world, installation)), headers };
}

function installationOf(call: Call): Installation {
  const found = call.world.installations.get(Number(call.params['installation_id']));
  if (!found || found.app.id !== appOf(call).id) throw notFound();
  return found;
}

/** A manifest's code is good for one exchange. */
function convertManifest(call: Call): Answer {
  const code = String(call.params['code']);
  const app = call.world.manifests.get(code);
  if (!app) throw notFound();
  call.world.manifests.delete(code);
  return created({
    ...appDetails(call.world, app),
    client_secret: app.clientSecret,
    webhook_secret: app.hook.secret,
    pem: app.privateKey,
  });
}

function repositories(call: Call): Answer {
  const token = call.token;
  const reached = [...call.world.repos.values()].filter((repo) => token && reaches(token, repo));
  const { page, headers } = paged(call, reached);
  const body = {
    total_count: reached.length,
    repository_selection: token?.repositories ? 'selected' : 'all',
    repositories: page.map((repo) => repositoryView(call.world, repo)),
  };
  return { status: 200, body, headers };
}

function user(call: Call): Answer {
  const found = call.world.users.get(String(call.params['username']).toLowerCase());
  if (!found) throw notFound();
  const url = call.world.url;
  return ok({
    ...userView(call.world, found),
    followers_url: url,
    created_at: isoTime(Date.now()),
    updated_at: isoTime(Date.now()),
  });
}

function rateLimit(call: Call): Answer {
  const core = call.rate;
  return ok({ resources: { core, search: core }, rate: core });
}
