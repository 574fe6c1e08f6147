import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { handledEvents } from '#src/adapters/github/understand.ts';

/** app.yml asks for what the code uses: nothing less, or Slipway fails on GitHub; nothing more, or nobody installs it. */

const manifest = parse(readFileSync('app.yml', 'utf8')) as {
  readonly default_events: readonly string[];
  readonly default_permissions: Readonly<Record<string, 'read' | 'write'>>;
};

/** GitHub sends these to every App and refuses a manifest that asks for them. */
const unasked = ['installation', 'installation_repositories', 'ping'];

type Need = readonly [permission: string, level: 'read' | 'write'];

/** https://docs.github.com/en/rest/authentication/permissions-required-for-github-apps */
const operations: Readonly<Record<string, Need | null>> = {
  'checks.create': ['checks', 'write'],
  'checks.update': ['checks', 'write'],
  'checks.get': ['checks', 'read'],
  'checks.listForRef': ['checks', 'read'],
  'repos.createDeployment': ['deployments', 'write'],
  'repos.createDeploymentStatus': ['deployments', 'write'],
  'repos.listDeployments': ['deployments', 'read'],
  'repos.getCollaboratorPermissionLevel': ['metadata', 'read'],
  'repos.getCommit': ['contents', 'read'],
  'repos.compareCommitsWithBasehead': ['contents', 'read'],
  'repos.listPullRequestsAssociatedWithCommit': ['pull_requests', 'read'],
  'repos.getCombinedStatusForRef': ['statuses', 'read'],
  'teams.getMembershipForUserInOrg': ['members', 'read'],
  'pulls.get': ['pull_requests', 'read'],
  'pulls.list': ['pull_requests', 'read'],
  // On an issue; on a pull request see `others`.
  'reactions.createForIssueComment': ['issues', 'write'],
  'issues.createComment': ['issues', 'write'],
  'issues.updateComment': ['issues', 'write'],
  'issues.listComments': ['issues', 'read'],
  // The App about itself, and before there is one.
  'apps.createFromManifest': null,
  'apps.getAuthenticated': null,
};

/**
 * What deployments by commit need of the repositories that they change. The manifest doesn't ask for it: most never use
 * them, and nobody should have to let an App write to their code. docs/install.md tells who uses them what to add.
 */
const byCommit: Readonly<Record<string, Need | null>> = {
  'apps.getRepoInstallation': null,
  'git.createCommit': ['contents', 'write'],
  'git.createRef': ['contents', 'write'],
  'git.createTree': ['contents', 'write'],
  'git.getCommit': ['contents', 'read'],
  'git.updateRef': ['contents', 'write'],
  'issues.createComment': ['pull_requests', 'write'],
  'pulls.create': ['pull_requests', 'write'],
  'pulls.get': ['pull_requests', 'read'],
  'pulls.list': ['pull_requests', 'read'],
  'pulls.update': ['pull_requests', 'write'],
  'repos.get': ['metadata', 'read'],
  'repos.getContent': ['contents', 'read'],
};

/** https://docs.github.com/en/webhooks/webhook-events-and-payloads */
const events: Readonly<Record<string, Need>> = {
  push: ['contents', 'read'],
  pull_request: ['pull_requests', 'read'],
  merge_group: ['merge_queues', 'read'],
  check_run: ['checks', 'write'],
  check_suite: ['checks', 'write'],
  issue_comment: ['issues', 'read'],
  release: ['contents', 'read'],
};

/** git over HTTPS; comments and reactions on pull requests. */
const others: readonly Need[] = [
  ['contents', 'read'],
  ['pull_requests', 'write'],
];

function sources(which: (name: string) => boolean = () => true): string {
  const folder = 'src/adapters/github';
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  return files
    .filter(which)
    .map((name) => readFileSync(`${folder}/${name}`, 'utf8'))
    .join('\n');
}

const changesOthers = (name: string): boolean => name.startsWith('gitops');

function operationsIn(text: string): string[] {
  return [...new Set([...text.matchAll(/\.rest\.(\w+\.\w+)\b/g)].map(([, name = '']) => name))].sort();
}

function usedOperations(): string[] {
  return operationsIn(sources((name) => !changesOthers(name)));
}

it('every event has a handler, and every handler its event', () => {
  expect([...manifest.default_events, ...unasked].sort()).toEqual([...handledEvents].sort());
});

it('every operation in use is known here, and no other', () => {
  expect(usedOperations()).toEqual(Object.keys(operations).sort());
});

it('deployments by commit use what is known here, and docs/install.md says what to add for them', () => {
  expect(operationsIn(sources(changesOthers))).toEqual(Object.keys(byCommit).sort());
  const lacking = Object.values(byCommit)
    .filter((need) => need !== null)
    .filter(([name, level]) => level === 'write' && manifest.default_permissions[name] !== 'write');
  expect(new Set(lacking.map(([name]) => name))).toEqual(new Set(['contents']));
  expect(readFileSync('docs/install.md', 'utf8')).toContain('`contents`: write');
});

it('no request goes past the operations', () => {
  expect(sources()).not.toMatch(/\.(graphql|paginate|request)\(['"`]/);
});

it('the permissions are exactly those that operations and events need', () => {
  const needed: Record<string, 'read' | 'write'> = {};
  const all = [
    ...usedOperations().map((name) => operations[name]),
    ...manifest.default_events.map((name) => events[name]),
  ];
  for (const need of [...all, ...others]) {
    if (need && needed[need[0]] !== 'write') needed[need[0]] = need[1];
  }
  expect(manifest.default_permissions).toEqual(needed);
});

it('docs/install.md explains each permission and event', () => {
  const text = readFileSync('docs/install.md', 'utf8');
  for (const name of [...Object.keys(manifest.default_permissions), ...manifest.default_events]) {
    expect(text).toContain(`\`${name}\``);
  }
});
