import type { Routes } from '../call.ts';
import { APP_ROUTES } from './apps.ts';
import { CHECK_ROUTES } from './checks.ts';
import { GIT_ROUTES } from './git.ts';
import { GIT_WRITE_ROUTES } from './git-write.ts';
import { HOOK_ROUTES } from './hooks.ts';
import { DEPLOYMENT_ROUTES } from './deployments.ts';
import { ISSUE_ROUTES } from './issues.ts';
import { PULL_ROUTES } from './pulls.ts';
import { STATUS_ROUTES } from './statuses.ts';
import { REPO_ROUTES } from './repos.ts';
import { SUITE_ROUTES } from './suites.ts';
import { TEAM_ROUTES } from './teams.ts';

/** Every operation that is answered; a test binds it to operations.ts. */
export const ROUTES: Routes = {
  ...APP_ROUTES,
  ...HOOK_ROUTES,
  ...REPO_ROUTES,
  ...GIT_ROUTES,
  ...GIT_WRITE_ROUTES,
  ...CHECK_ROUTES,
  ...SUITE_ROUTES,
  ...DEPLOYMENT_ROUTES,
  ...ISSUE_ROUTES,
  ...PULL_ROUTES,
  ...STATUS_ROUTES,
  ...TEAM_ROUTES,
};
