import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ProbotOctokit } from 'probot';
import type { Body } from '#dev/github/world.ts';
import { makeTown, SHOP, type Town } from './town.ts';

let town: Town;
let octokit: ProbotOctokit;

beforeAll(async () => {
  town = await makeTown();
  await town.commit('a.txt', 'a');
  await town.push('main', 'main:behind');
  await town.commit('a.txt', 'b');
  await town.push('main');
  octokit = town.octokit();
});
afterAll(async () => {
  await town[Symbol.asyncDispose]();
});

async function deploy(extra: Body): Promise<{ status: number; data: Body }> {
  const asked = { ...SHOP, ref: 'main', auto_merge: false, required_contexts: [], ...extra };
  return octokit.request('POST /repos/{owner}/{repo}/deployments', asked);
}

async function report(deployment: Body, state: string, extra: Body = {}): Promise<unknown> {
  return octokit.request('POST /repos/{owner}/{repo}/deployments/{deployment_id}/statuses', {
    ...SHOP,
    deployment_id: deployment['id'] as number,
    state: state as 'success',
    ...extra,
  });
}

async function states(environment: string): Promise<unknown[]> {
  const found = town.github.deployments('acme/shop').filter((each) => each.environment === environment);
  return found.map(({ statuses }) => statuses.at(-1)?.state);
}

describe('deployments', () => {
  it('are refused while a check is not successful, unless no context is required', async () => {
    await octokit.rest.checks.create({
      ...SHOP,
      name: 'own',
      head_sha: await town.git('rev-parse', 'HEAD'),
      status: 'in_progress',
    });
    const { required_contexts: _, ...all } = { ...SHOP, ref: 'main', auto_merge: false, required_contexts: [] };
    await expect(octokit.rest.repos.createDeployment(all)).rejects.toMatchObject({ status: 409 });
    expect((await deploy({ environment: 'first' })).status).toBe(201);
  });

  it('merge a branch that is behind, unless told not to', async () => {
    expect((await deploy({ ref: 'behind', auto_merge: true })).status).toBe(202);
    expect((await deploy({ ref: 'behind' })).status).toBe(201);
  });

  it.each([
    ['staging', 'inactive'],
    ['production', 'success'],
  ])('earlier ones in %s become %s by a success', async (environment, earlier) => {
    const first = (await deploy({ environment })).data;
    await report(first, 'success', { log_url: 'https://ci.example.com', description: 'x'.repeat(140) });
    const second = (await deploy({ environment })).data;
    await report(second, 'in_progress');
    await report(second, 'success');
    expect((await states(environment)).slice(-2)).toEqual([earlier, 'success']);
  });

  it('refuse a description of 141 characters', async () => {
    const { data } = await deploy({ environment: 'long' });
    await expect(report(data, 'success', { description: 'x'.repeat(141) })).rejects.toMatchObject({ status: 422 });
  });

  it('are listed, newest first', async () => {
    const { data } = await octokit.rest.repos.listDeployments({ ...SHOP, environment: 'staging' });
    expect(data).toHaveLength(2);
    expect(data[0]?.id).toBeGreaterThan(data[1]?.id ?? 0);
    expect(town.github.world.violations).toEqual([]);
  });
});

it('takes commit statuses', async () => {
  const sha = await town.git('rev-parse', 'HEAD');
  await octokit.rest.repos.createCommitStatus({ ...SHOP, sha, state: 'success', context: 'ci' });
  const { data } = await octokit.rest.repos.getCombinedStatusForRef({ ...SHOP, ref: sha });
  expect(data).toMatchObject({ state: 'success', total_count: 1 });
});

describe('the pages', () => {
  it('show a repository and escape what others wrote', async () => {
    const octokit = town.octokit();
    const head_sha = await town.git('rev-parse', 'HEAD');
    const { data } = await octokit.rest.checks.create({ ...SHOP, name: '<b>x</b>', head_sha });
    const page = async (path: string) =>
      (await fetch(`${town.github.url}${path}`, { headers: { accept: 'text/html' } })).text();
    expect(await page('/')).toContain('acme/shop');
    expect(await page('/acme/shop')).toContain('&lt;b&gt;x&lt;/b&gt;');
    expect(await page(`/acme/shop/runs/${data.id}`)).toContain('queued');
  });

  it('register an App by its manifest', async () => {
    const manifest = {
      name: 'Mine',
      url: 'https://a.example',
      redirect_url: 'https://a.example/back',
      default_permissions: { checks: 'write' },
      default_events: ['push'],
    };
    const body = new URLSearchParams({ manifest: JSON.stringify(manifest), name: 'Mine', state: 's' });
    const answer = await fetch(`${town.github.url}/settings/apps/new`, { method: 'POST', body, redirect: 'manual' });
    const back = new URL(answer.headers.get('location') ?? '');
    expect(back.searchParams.get('state')).toBe('s');
    const code = back.searchParams.get('code') ?? '';
    const exchange = () => fetch(`${town.github.url}/api/v3/app-manifests/${code}/conversions`, { method: 'POST' });
    expect(await (await exchange()).json()).toMatchObject({
      slug: 'mine',
      pem: expect.stringContaining('PRIVATE KEY'),
    });
    expect((await exchange()).status).toBe(404);
  });
});
