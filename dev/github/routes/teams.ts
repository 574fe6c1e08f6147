import { permits } from '../auth.ts';
import { type Answer, type Call, ok, type Routes } from '../call.ts';
import { forbidden, notFound } from '../refusal.ts';

export const TEAM_ROUTES: Routes = {
  'GET /orgs/{org}/teams/{team_slug}/memberships/{username}': { as: 'installation', handle: membership },
};

function membership({ world, token, params, url }: Call): Answer {
  const [org, team, login] = ['org', 'team_slug', 'username'].map((name) => String(params[name]).toLowerCase());
  if (!token || !permits(token.permissions, 'members', 'read')) throw forbidden();
  // Another organisation's teams aren't there for the installation.
  if (token.installation.account.login.toLowerCase() !== org) throw notFound();
  if (!world.teams.get(`${org}/${team}`)?.has(login ?? '')) throw notFound();
  return ok({ url, role: 'member', state: 'active' });
}
