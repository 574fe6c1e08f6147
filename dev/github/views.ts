import { isoTime } from './world.ts';
import type { App, Body, Installation, Repo, User, World } from './world.ts';

/** Things as GitHub shows them. What is missing here and required is completed from GitHub's description. */

export function nodeId(kind: string, id: number): string {
  return `${kind}_${Buffer.from(`${kind}:${id}`).toString('base64url')}`;
}

export function userView(world: World, user: User): Body {
  const api = `${world.url}/api/v3/users/${user.login}`;
  return {
    login: user.login,
    id: user.id,
    node_id: nodeId('U', user.id),
    avatar_url: `${world.url}/avatars/${user.id}`,
    gravatar_id: '',
    url: api,
    html_url: `${world.url}/${user.login}`,
    type: user.type,
    site_admin: false,
    name: user.login,
    email: null,
    repos_url: `${api}/repos`,
  };
}

/** A user within another thing: without what only their own page tells. */
export function simpleUser(world: World, user: User): Body {
  const { name: _, email: __, ...rest } = userView(world, user);
  return rest;
}

export function repositoryView(world: World, repo: Repo): Body {
  const api = `${world.url}/api/v3/repos/${repo.fullName}`;
  const html = `${world.url}/${repo.fullName}`;
  return {
    id: repo.id,
    node_id: nodeId('R', repo.id),
    name: repo.name,
    full_name: repo.fullName,
    private: repo.private,
    visibility: repo.private ? 'private' : 'public',
    owner: simpleUser(world, repo.owner),
    html_url: html,
    description: null,
    fork: repo.parent !== null,
    url: api,
    clone_url: `${html}.git`,
    git_url: `${html}.git`,
    ssh_url: `${html}.git`,
    svn_url: html,
    default_branch: repo.defaultBranch,
    master_branch: repo.defaultBranch,
    created_at: isoTime(repo.createdAt),
    updated_at: isoTime(repo.pushedAt),
    pushed_at: isoTime(repo.pushedAt),
    archived: false,
    disabled: false,
    has_issues: true,
    open_issues: 0,
    open_issues_count: 0,
    contents_url: `${api}/contents/{+path}`,
    issues_url: `${api}/issues{/number}`,
    pulls_url: `${api}/pulls{/number}`,
    deployments_url: `${api}/deployments`,
  };
}

export function appView(world: World, app: App): Body {
  return {
    id: app.id,
    slug: app.slug,
    node_id: nodeId('A', app.id),
    client_id: app.clientId,
    owner: simpleUser(world, app.owner),
    name: app.name,
    description: '',
    external_url: app.hook.url ?? world.url,
    html_url: `${world.url}/apps/${app.slug}`,
    created_at: isoTime(app.createdAt),
    updated_at: isoTime(app.createdAt),
    permissions: app.permissions,
    events: app.events,
  };
}

export function installationView(world: World, installation: Installation): Body {
  const { id, app, account } = installation;
  return {
    id,
    account: simpleUser(world, account),
    access_tokens_url: `${world.url}/api/v3/app/installations/${id}/access_tokens`,
    repositories_url: `${world.url}/api/v3/installation/repositories`,
    html_url: `${world.url}/settings/installations/${id}`,
    app_id: app.id,
    app_slug: app.slug,
    client_id: app.clientId,
    target_id: account.id,
    target_type: account.type,
    permissions: app.permissions,
    events: app.events,
    repository_selection: 'all',
    created_at: isoTime(installation.createdAt),
    updated_at: isoTime(installation.createdAt),
    single_file_name: null,
    suspended_at: null,
    suspended_by: null,
  };
}

export function installationRef(installation: Installation): Body {
  return { id: installation.id, node_id: nodeId('I', installation.id) };
}
