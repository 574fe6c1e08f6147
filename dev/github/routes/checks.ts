import { type Answer, appOf, created, ok, paged, type RepoCall, type Routes } from '../call.ts';
import { announceRun, checkRunView, latest, suiteFor } from '../checks.ts';
import type { FieldError } from '../description.ts';
import { revision } from '../git.ts';
import { characters, forbidden, invalid, notFound } from '../refusal.ts';
import { isoTime } from '../world.ts';
import type { Body, CheckRun } from '../world.ts';

/** GitHub counts bytes here, although its description says characters. */
const MOST_BYTES = 65_535;
const MOST_MESSAGE = 64 * 1024;
const MOST_TITLE = 255;
const MOST_OF_A_NAME = 1_000;

export const CHECK_ROUTES: Routes = {
  'POST /repos/{owner}/{repo}/check-runs': { needs: ['checks', 'write'], handle: create },
  'PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}': { needs: ['checks', 'write'], handle: update },
  'GET /repos/{owner}/{repo}/check-runs/{check_run_id}': {
    needs: ['checks', 'read'],
    handle: (call) => ok(checkRunView(call.world, call.repo, find(call))),
  },
  'GET /repos/{owner}/{repo}/check-runs/{check_run_id}/annotations': { needs: ['checks', 'read'], handle: annotations },
  'GET /repos/{owner}/{repo}/commits/{ref}/check-runs': { needs: ['checks', 'read'], handle: listForRef },
  'GET /repos/{owner}/{repo}/check-suites/{check_suite_id}/check-runs': {
    needs: ['checks', 'read'],
    handle: listForSuite,
  },
};

async function create(call: RepoCall): Promise<Answer> {
  const { world, repo, body } = call;
  refuse(mistakes(body));
  const sha = /^[0-9a-f]{40,64}$/.test(String(body['head_sha']))
    ? await revision(repo.path, String(body['head_sha']))
    : null;
  if (!sha) throw invalid('CheckRun', [{ field: 'head_sha', message: `No commit found for SHA: ${body['head_sha']}` }]);
  const app = appOf(call);
  const suite = suiteFor(world, repo, app, sha, null);
  const run: CheckRun = {
    id: world.id(),
    suite,
    headSha: sha,
    name: String(body['name']),
    externalId: '',
    detailsUrl: null,
    status: 'queued',
    conclusion: null,
    startedAt: isoTime(Date.now()),
    completedAt: null,
    title: null,
    summary: null,
    text: null,
    actions: [],
    annotations: [],
  };
  apply(run, body);
  repo.runs.set(run.id, run);
  const same = [...repo.runs.values()].filter((each) => each.suite.id === suite.id && each.name === run.name);
  for (const oldest of same.slice(0, -MOST_OF_A_NAME)) repo.runs.delete(oldest.id);
  announceRun(call, repo, run, 'created', app.bot);
  if (run.status === 'completed') announceRun(call, repo, run, 'completed', app.bot);
  return created(checkRunView(world, repo, run));
}

function update(call: RepoCall): Answer {
  const { world, repo, body } = call;
  const run = find(call);
  const app = appOf(call);
  if (run.suite.app.id !== app.id) throw forbidden();
  refuse(mistakes(body));
  const before = run.status;
  apply(run, body);
  if (run.status === 'completed' && before !== 'completed') {
    announceRun(call, repo, run, 'completed', app.bot);
  }
  return ok(checkRunView(world, repo, run));
}

function apply(run: CheckRun, body: Body): void {
  if (body['name'] !== undefined) run.name = String(body['name']);
  if (body['external_id'] !== undefined) run.externalId = String(body['external_id']);
  if (body['details_url'] !== undefined) run.detailsUrl = String(body['details_url']);
  if (body['started_at'] !== undefined) run.startedAt = String(body['started_at']);
  if (body['status'] !== undefined) run.status = body['status'] as CheckRun['status'];
  // A conclusion alone completes the run; another status takes the conclusion away.
  if (body['conclusion'] !== undefined) run.status = 'completed';
  run.conclusion = run.status === 'completed' ? String(body['conclusion'] ?? run.conclusion) : null;
  run.completedAt =
    run.status === 'completed' ? String(body['completed_at'] ?? run.completedAt ?? isoTime(Date.now())) : null;
  if (body['actions'] !== undefined) run.actions = body['actions'] as Body[];
  const output = body['output'] as Body | undefined;
  if (!output) return;
  run.title = (output['title'] ?? run.title) as string | null;
  run.summary = (output['summary'] ?? run.summary) as string | null;
  run.text = (output['text'] ?? null) as string | null;
  run.annotations.push(...((output['annotations'] ?? []) as Body[]));
}

/** What GitHub refuses although its description lets it pass. */
function mistakes(body: Body): FieldError[] {
  const errors: FieldError[] = [];
  const output = (body['output'] ?? {}) as Body;
  if (body['status'] === 'completed' && body['conclusion'] === undefined) {
    errors.push({ field: 'conclusion', message: 'is missing: a completed run needs one' });
  }
  if (body['conclusion'] === 'stale') errors.push({ field: 'conclusion', message: 'stale is set by GitHub alone' });
  if (body['status'] !== undefined && body['status'] !== 'completed' && body['conclusion'] !== undefined) {
    errors.push({ field: 'conclusion', message: `does not go with the status ${body['status']}` });
  }
  if (body['details_url'] !== undefined && !/^https?:\/\//.test(String(body['details_url']))) {
    errors.push({ field: 'details_url', message: 'must use the http or https scheme' });
  }
  for (const field of ['summary', 'text']) {
    if (Buffer.byteLength(String(output[field] ?? '')) > MOST_BYTES) {
      errors.push({ field: `output.${field}`, message: `is longer than ${MOST_BYTES} bytes` });
    }
  }
  for (const [index, annotation] of ((output['annotations'] ?? []) as Body[]).entries()) {
    for (const problem of annotationMistakes(annotation)) {
      errors.push({ field: `output.annotations.${index}`, message: problem });
    }
  }
  return errors;
}

function annotationMistakes(annotation: Body): string[] {
  const { start_line: start, end_line: end, start_column: from, end_column: to } = annotation;
  const columns = from !== undefined || to !== undefined;
  return [
    ...(end < start ? ['end_line is before start_line'] : []),
    ...(start < 1 ? ['start_line is below 1'] : []),
    ...(columns && start !== end ? ['columns are for annotations of a single line'] : []),
    ...(String(annotation['path']).startsWith('/') || annotation['path'] === ''
      ? ['path must be relative to the repository']
      : []),
    ...(annotation['message'] === '' ? ['message is empty'] : []),
    ...(Buffer.byteLength(annotation['message']) > MOST_MESSAGE ? ['message is longer than 64 KB'] : []),
    ...(Buffer.byteLength(annotation['raw_details'] ?? '') > MOST_MESSAGE ? ['raw_details are longer than 64 KB'] : []),
    ...(characters(annotation['title'] ?? '') > MOST_TITLE ? ['title is longer than 255 characters'] : []),
  ];
}

function refuse(errors: readonly FieldError[]): void {
  if (errors.length > 0) throw invalid('CheckRun', errors);
}

function find({ repo, params }: RepoCall): CheckRun {
  const run = repo.runs.get(Number(params['check_run_id']));
  if (!run) throw notFound();
  return run;
}

function annotations(call: RepoCall): Answer {
  const run = find(call);
  const { page, headers } = paged(call, run.annotations);
  const body = page.map((annotation) => ({
    start_column: null,
    end_column: null,
    title: null,
    raw_details: null,
    ...annotation,
    blob_href: `${call.world.url}/${call.repo.fullName}/blob/${run.headSha}/${annotation['path']}`,
  }));
  return { status: 200, body, headers };
}

async function listForRef(call: RepoCall): Promise<Answer> {
  const sha = await revision(call.repo.path, String(call.params['ref']));
  if (!sha) throw invalid('Commit', [{ field: 'ref', message: `No commit found for SHA: ${call.params['ref']}` }]);
  return list(
    call,
    [...call.repo.runs.values()].filter(({ headSha }) => headSha === sha),
  );
}

function listForSuite(call: RepoCall): Answer {
  const id = Number(call.params['check_suite_id']);
  if (!call.repo.suites.has(id)) throw notFound();
  return list(
    call,
    [...call.repo.runs.values()].filter(({ suite }) => suite.id === id),
  );
}

function list(call: RepoCall, runs: readonly CheckRun[]): Answer {
  const { query, world, repo } = call;
  const chosen = (query['filter'] === 'all' ? runs : latest(runs)).filter(
    (run) =>
      (query['check_name'] === undefined || run.name === query['check_name']) &&
      (query['status'] === undefined || run.status === query['status']) &&
      (query['app_id'] === undefined || run.suite.app.id === Number(query['app_id'])),
  );
  const { page, headers } = paged(call, chosen);
  const body = { total_count: chosen.length, check_runs: page.map((run) => checkRunView(world, repo, run)) };
  return { status: 200, body, headers };
}
