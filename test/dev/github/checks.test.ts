import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ProbotOctokit } from 'probot';
import type { Body } from '#dev/github/world.ts';
import { makeTown, SHOP, type Town } from './town.ts';

let town: Town;
let octokit: ProbotOctokit;
let sha: string;

beforeAll(async () => {
  town = await makeTown();
  sha = await town.commit('a.txt', 'a');
  await town.push('main');
  octokit = town.octokit();
});
afterAll(async () => {
  await town[Symbol.asyncDispose]();
});

const annotation = { path: 'a.txt', start_line: 1, end_line: 1, annotation_level: 'failure', message: 'no' };

function annotations(count: number): Body[] {
  return Array.from({ length: count }, () => annotation);
}

function output(extra: Body): Body {
  return { output: { title: 't', summary: 's', ...extra } };
}

async function create(extra: Body = {}): Promise<Body> {
  const made = await octokit.request('POST /repos/{owner}/{repo}/check-runs', {
    ...SHOP,
    name: 'test',
    head_sha: sha,
    ...extra,
  });
  return made.data;
}

describe('check runs', () => {
  it('are created, updated and completed, with ids beyond 32 bits', async () => {
    const made = await create({ status: 'in_progress', details_url: 'https://ci.example.com/1', external_id: 'job1' });
    expect(made['id']).toBeGreaterThan(2 ** 32);
    await octokit.rest.checks.update({
      ...SHOP,
      check_run_id: made['id'] as number,
      conclusion: 'failure',
      output: {
        title: 'One failed',
        summary: 'é'.repeat(32_767),
        annotations: [{ ...annotation, annotation_level: 'failure' }],
      },
      actions: [{ label: 'Deploy', description: 'To staging', identifier: 'deploy' }],
    });
    const { data } = await octokit.rest.checks.get({ ...SHOP, check_run_id: made['id'] as number });
    expect(data).toMatchObject({ status: 'completed', conclusion: 'failure', external_id: 'job1', head_sha: sha });
    expect(data.output).toMatchObject({ title: 'One failed', annotations_count: 1 });
    expect(data.app?.slug).toBe('slipway');
  });

  it('gather annotations over several requests', async () => {
    const made = await create(output({ annotations: annotations(50) }));
    const more = output({ annotations: annotations(3) });
    await octokit.request('PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}', {
      ...SHOP,
      check_run_id: made['id'] as number,
      ...more,
    });
    const all = await octokit.paginate('GET /repos/{owner}/{repo}/check-runs/{check_run_id}/annotations', {
      ...SHOP,
      check_run_id: made['id'] as number,
    });
    expect(all).toHaveLength(53);
  });

  it('list the newest of each name', async () => {
    await create({ name: 'twice' });
    const second = await create({ name: 'twice' });
    const { data } = await octokit.rest.checks.listForRef({ ...SHOP, ref: sha, check_name: 'twice' });
    expect(data.check_runs.map(({ id }) => id)).toEqual([second['id']]);
  });
});

const button = { label: 'l', description: 'd', identifier: 'i' };

describe('what GitHub refuses', () => {
  it.each<[string, Body]>([
    ['a completed run without conclusion', { status: 'completed' }],
    ['stale, which is its own', { status: 'completed', conclusion: 'stale' }],
    ['a status that it does not know', { status: 'running' }],
    ['a conclusion on a run under way', { status: 'in_progress', conclusion: 'success' }],
    ['a commit that it does not have', { head_sha: 'f'.repeat(40) }],
    ['a details_url that is not http', { details_url: 'file:///etc/passwd' }],
    ['a field that it does not know', { detailsUrl: 'https://x' }],
    ['more than 50 annotations', output({ annotations: annotations(51) })],
    ['columns over several lines', output({ annotations: [{ ...annotation, end_line: 2, start_column: 1 }] })],
    ['an annotation from the root', output({ annotations: [{ ...annotation, path: '/a.txt' }] })],
    ['a summary of more bytes than 65,535', output({ summary: 'é'.repeat(32_768) })],
    ['an output without summary', { output: { title: 't' } }],
    ['four buttons', { actions: [button, button, button, button] }],
    ['a label of 21 characters', { actions: [{ ...button, label: 'x'.repeat(21) }] }],
  ])('%s', async (_, extra) => {
    const before = town.github.world.violations.length;
    await expect(create(extra)).rejects.toMatchObject({ status: 422 });
    const noted = town.github.world.violations.splice(before);
    expect(noted.every(({ kind }) => kind === 'invalid request')).toBe(true);
  });

  it("another App's run", async () => {
    const made = await create();
    const other = town.github.registerApp({ name: 'other', webhook: { url: null, secret: 'x' } });
    const installation = town.github.install(other, 'acme');
    const { issueToken } = await import('#dev/github/auth.ts');
    const { value } = issueToken(town.github.world, installation, other.permissions, null);
    const answer = await fetch(`${town.github.url}/api/v3/repos/acme/shop/check-runs/${made['id']}`, {
      method: 'PATCH',
      headers: { authorization: `Bearer ${value}` },
      body: JSON.stringify({ status: 'in_progress' }),
    });
    expect(answer.status).toBe(403);
  });

  it('what the installation is not permitted to', async () => {
    await using poor = await makeTown({ checks: 'read' });
    const head = await poor.commit('a', 'a');
    await poor.push('main');
    const asked = poor.octokit().rest.checks.create({ ...SHOP, name: 'x', head_sha: head });
    await expect(asked).rejects.toMatchObject({
      status: 403,
      message: expect.stringContaining('not accessible by integration'),
    });
  });

  it('and notes nothing where all was well', () => {
    expect(town.github.world.violations).toEqual([]);
  });
});
