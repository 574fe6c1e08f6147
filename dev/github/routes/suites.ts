import { type Answer, appOf, ok, paged, type RepoCall, type Routes } from '../call.ts';
import { checkSuiteView } from '../checks.ts';
import { revision } from '../git.ts';
import { forbidden, invalid, notFound } from '../refusal.ts';
import type { CheckSuite } from '../world.ts';

export const SUITE_ROUTES: Routes = {
  'GET /repos/{owner}/{repo}/check-suites/{check_suite_id}': {
    needs: ['checks', 'read'],
    handle: (call) => ok(checkSuiteView(call.world, call.repo, find(call))),
  },
  'GET /repos/{owner}/{repo}/commits/{ref}/check-suites': { needs: ['checks', 'read'], handle: list },
  'POST /repos/{owner}/{repo}/check-suites/{check_suite_id}/rerequest': {
    needs: ['checks', 'write'],
    handle: rerequest,
  },
};

async function list(call: RepoCall): Promise<Answer> {
  const { world, repo, params, query } = call;
  const sha = await revision(repo.path, String(params['ref']));
  if (!sha) throw invalid('Commit', [{ field: 'ref', message: `No commit found for SHA: ${params['ref']}` }]);
  const found = [...repo.suites.values()].filter(
    ({ headSha, app }) => headSha === sha && (query['app_id'] === undefined || app.id === Number(query['app_id'])),
  );
  const { page, headers } = paged(call, found);
  const body = { total_count: found.length, check_suites: page.map((suite) => checkSuiteView(world, repo, suite)) };
  return { status: 200, body, headers };
}

function rerequest(call: RepoCall): Answer {
  const { world, repo, webhooks } = call;
  const suite = find(call);
  if (suite.app.id !== appOf(call).id) throw forbidden();
  webhooks.repository(repo, 'check_suite', 'rerequested', suite.app.bot, {
    check_suite: checkSuiteView(world, repo, suite),
  });
  return { status: 201, body: {} };
}

function find({ repo, params }: RepoCall): CheckSuite {
  const suite = repo.suites.get(Number(params['check_suite_id']));
  if (!suite) throw notFound();
  return suite;
}
