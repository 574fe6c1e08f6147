import { appView, nodeId } from './views.ts';
import { isoTime } from './world.ts';
import type { App, Body, CheckRun, CheckSuite, Repo, User, World } from './world.ts';
import type { Webhooks } from './webhooks.ts';

/** The App's suite for a commit: made on the first push or the first check run. */
export function suiteFor(world: World, repo: Repo, app: App, headSha: string, headBranch: string | null): CheckSuite {
  const known = [...repo.suites.values()].find((suite) => suite.app.id === app.id && suite.headSha === headSha);
  if (known) return known;
  const suite = { id: world.id(), app, headSha, headBranch, createdAt: Date.now() };
  repo.suites.set(suite.id, suite);
  return suite;
}

function runsOf(repo: Repo, suite: CheckSuite): CheckRun[] {
  return [...repo.runs.values()].filter((run) => run.suite.id === suite.id);
}

/** The newest run of each name, which is what GitHub shows and asks for by default. */
export function latest(runs: readonly CheckRun[]): CheckRun[] {
  return [...new Map(runs.map((run) => [`${run.suite.app.id} ${run.name}`, run])).values()];
}

/** A suite's state is the state of its newest runs together. */
function suiteState(repo: Repo, suite: CheckSuite): { readonly status: string; readonly conclusion: string | null } {
  const runs = latest(runsOf(repo, suite));
  if (runs.length === 0) return { status: 'queued', conclusion: null };
  if (runs.some(({ status }) => status !== 'completed')) {
    return { status: runs.some(({ status }) => status === 'in_progress') ? 'in_progress' : 'queued', conclusion: null };
  }
  const order = ['failure', 'timed_out', 'cancelled', 'action_required', 'success', 'neutral', 'skipped'];
  const conclusion = order.find((each) => runs.some((run) => run.conclusion === each)) ?? 'neutral';
  return { status: 'completed', conclusion };
}

export function checkRunView(world: World, repo: Repo, run: CheckRun): Body {
  const api = `${world.url}/api/v3/repos/${repo.fullName}/check-runs/${run.id}`;
  return {
    id: run.id,
    node_id: nodeId('CR', run.id),
    name: run.name,
    head_sha: run.headSha,
    external_id: run.externalId,
    url: api,
    html_url: `${world.url}/${repo.fullName}/runs/${run.id}`,
    details_url: run.detailsUrl ?? run.suite.app.hook.url ?? world.url,
    status: run.status,
    conclusion: run.conclusion,
    started_at: run.startedAt,
    completed_at: run.completedAt,
    output: {
      title: run.title,
      summary: run.summary,
      text: run.text,
      annotations_count: run.annotations.length,
      annotations_url: `${api}/annotations`,
    },
    check_suite: { id: run.suite.id },
    app: appView(world, run.suite.app),
    pull_requests: pullRequests(world, repo, run.headSha),
  };
}

export function checkSuiteView(world: World, repo: Repo, suite: CheckSuite): Body {
  const api = `${world.url}/api/v3/repos/${repo.fullName}/check-suites/${suite.id}`;
  return {
    id: suite.id,
    node_id: nodeId('CS', suite.id),
    head_branch: suite.headBranch,
    head_sha: suite.headSha,
    ...suiteState(repo, suite),
    url: api,
    before: null,
    after: suite.headSha,
    pull_requests: pullRequests(world, repo, suite.headSha),
    app: appView(world, suite.app),
    created_at: isoTime(suite.createdAt),
    updated_at: isoTime(suite.createdAt),
    rerequestable: true,
    runs_rerequestable: true,
    latest_check_runs_count: latest(runsOf(repo, suite)).length,
    check_runs_url: `${api}/check-runs`,
  };
}

/** Tells the App that a run changed, or that somebody asks for something. */
export function announceRun(
  { world, webhooks }: { readonly world: World; readonly webhooks: Webhooks },
  repo: Repo,
  run: CheckRun,
  action: string,
  sender: User,
  extra: Body = {},
): void {
  const suite = checkSuiteView(world, repo, run.suite);
  const installation = world.installationsOf(repo).find(({ app }) => app.id === run.suite.app.id);
  if (!installation) return;
  webhooks.repositoryOf(installation, repo, 'check_run', action, sender, {
    check_run: { ...checkRunView(world, repo, run), check_suite: suite },
    ...extra,
  });
}

/** The open pull requests with that head. Those from forks never appear, as on GitHub. */
function pullRequests(world: World, repo: Repo, sha: string): Body[] {
  const api = `${world.url}/api/v3/repos/${repo.fullName}`;
  const short = { id: repo.id, url: api, name: repo.name };
  return [...repo.pulls.values()]
    .filter(({ state, head }) => state === 'open' && head.repo.id === repo.id && head.sha === sha)
    .map(({ id, number, head, base }) => ({
      id,
      number,
      url: `${api}/pulls/${number}`,
      head: { ref: head.ref, sha: head.sha, repo: short },
      base: { ref: base.ref, sha: base.sha, repo: short },
    }));
}
