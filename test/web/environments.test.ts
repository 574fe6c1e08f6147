import { describe, expect, it } from '@jest/globals';
import type { Environments } from '#src/web/environments.ts';
import { acme, demoEnvironments, seedEnvironments } from './demo-environments.ts';
import { openSite, operatorToken, type Site } from './site.ts';

/** A site with environments; `change` replaces what it does. */
async function openDemo(change: Partial<Environments> = {}): Promise<Site & { readonly asked: readonly unknown[] }> {
  const opened: { site?: Site } = {};
  const environments = demoEnvironments(() => {
    if (opened.site === undefined) throw new Error('The site is not open.');
    return opened.site.store;
  });
  opened.site = await openSite({ environments: { ...environments, ...change } });
  return { ...opened.site, asked: environments.asked };
}

const asOperator = { headers: { Authorization: `Bearer ${operatorToken}` } };

async function page(url: string, init: RequestInit = {}): Promise<{ status: number; text: string; headers: Headers }> {
  const response = await fetch(url, { redirect: 'manual', ...init });
  return { status: response.status, text: await response.text(), headers: response.headers };
}

function post(site: Site, action: string, fields: Record<string, string>, init: RequestInit = asOperator) {
  const body = new URLSearchParams(fields);
  return page(`${site.url}/environments/acme/shop/${action}`, { ...init, method: 'POST', body });
}

/** What stands on the page of one environment, without its tags. */
function partOf(text: string, environment: string): string {
  const [, part = ''] = text.split(`id="env-${environment}"`);
  return part
    .split('<section class="environment"')[0]
    ?.replaceAll(/<[^>]*>/g, ' ')
    .replaceAll(/\s+/g, ' ') as string;
}

describe("the page of a repository's environments", () => {
  it('shows what is where, by whom, how it does, who locked it, and what waits', async () => {
    await using site = await openDemo();
    await seedEnvironments(site.store);
    const { status, text } = await page(site.links.environments(acme));
    expect(status).toBe(200);
    const production = partOf(text, 'production');
    expect(production).toContain('unhealthy');
    expect(production).toContain('v1.6.0 6666666');
    expect(production).toContain('by ada');
    expect(production).toContain('shop@6a7c3e5b1d9f');
    expect(production).toContain('shop/worker: 2 of 3 available');
    expect(production).toContain('Locked by linus');
    expect(production).toContain('Black Friday: nothing &lt;changes&gt; until Monday');
    expect(production).toContain('not in line Release 1.7');
    expect(production).toContain('Waits for 2 approvals (1 so far, by @ada).');
    const staging = partOf(text, 'staging');
    expect(staging).toMatch(/deploying Show the stock of each shop .* 1 of 3 updated, 3 available/);
    expect(staging).toContain('1. Translate the receipts');
    expect(staging).toContain('shop-staging/api · api shop@8a7c3e5b1d9f → shop@9a7c3e5b1d9f');
    expect(staging).toContain('crashes again and again');
    expect(text).toContain('href="https://staging.shop.example/"');
    expect(partOf(text, 'preview-pr-42')).toContain('Round &lt;b&gt;discounts&lt;/b&gt;');
    // In the file's order, previews last.
    expect([...text.matchAll(/id="env-([\w-]+)"/g)].map(([, name]) => name)).toEqual([
      'staging',
      'production',
      'preview-pr-42',
    ]);
  });

  it('offers no way back where there is none', async () => {
    await using site = await openDemo();
    await seedEnvironments(site.store);
    const asked = async () => partOf((await page(`${site.url}/environments/acme/shop`, asOperator)).text, 'production');
    expect(await asked()).toContain('Roll back now');
    for (const record of await site.store.deployments.list(acme.id, 'production', 100)) {
      await site.store.deployments.save({ ...record, state: 'failure' });
    }
    const part = await asked();
    expect(part).toContain('History');
    expect(part).not.toMatch(/Roll back\b(?! to this)/);
  });

  it("doesn't exist for whoever has neither its link nor the token, and gives the link's owner no buttons", async () => {
    await using site = await openDemo();
    await seedEnvironments(site.store);
    const other = new URL(site.links.environments({ owner: 'acme', name: 'other' })).searchParams.get('s');
    const run = new URL(site.links.run('acme/shop')).searchParams.get('s');
    for (const path of ['', '/events']) {
      for (const query of ['', '?s=', `?s=${other}`, `?s=${run}`]) {
        expect((await page(`${site.url}/environments/acme/shop${path}${query}`)).status).toBe(404);
      }
    }
    const overview = await page(`${site.url}/environments`);
    expect(overview.status).toBe(401);
    expect(overview.text).toContain('action="/sign-in"');
    expect(overview.text).not.toContain('acme');
    expect((await page(site.links.environments({ owner: 'acme', name: 'unknown' }))).status).toBe(404);
    expect((await page(site.links.environments(acme))).text).not.toContain('<form');
    expect((await page(`${site.url}/environments/ACME/Shop`, asOperator)).text).toContain('<form');
  });

  it("has the operator's buttons do what they say, by forms alone, and writes it down", async () => {
    await using site = await openDemo();
    const { running } = await seedEnvironments(site.store);
    const { text } = await page(`${site.url}/environments/acme/shop`, asOperator);
    expect(text).toContain('Restores <strong>v1.4.0</strong> of <code>4444444</code>, deployed by ada.');
    expect(partOf(text, 'preview-pr-42')).not.toMatch(/Roll back|Promote|Lock/);
    const presses: [string, Record<string, string>, unknown][] = [
      ['rollback', { environment: 'production' }, { environment: 'production', to: null, overLock: false }],
      [
        'rollback',
        { environment: 'production', to: 'v1.2.0', overLock: 'yes' },
        { environment: 'production', to: 'v1.2.0', overLock: true },
      ],
      ['promote', { from: 'staging', to: 'production' }, { from: 'staging', to: 'production' }],
      ['lock', { environment: 'staging', reason: ' Größe ' }, { environment: 'staging', reason: 'Größe' }],
      ['unlock', { environment: '' }, { environment: '' }],
      ['cancel', { job: running }, { jobId: running }],
    ];
    for (const [action, fields, asked] of presses) {
      const { status, headers } = await post(site, action, fields);
      expect([status, headers.get('location')]).toEqual([303, '/environments/acme/shop']);
      expect(site.asked.at(-1)).toEqual({ what: action, ...(asked as object) });
    }
    const records = await site.store.audit.list('acme/shop', 20);
    expect(records.map(({ action, subject, decision }) => `${action} ${subject} ${decision}`)).toEqual([
      `cancel form job ${running} allowed`,
      'unlock form all allowed',
      'lock form staging allowed',
      'promote form staging to production allowed',
      'rollback form production allowed',
      'rollback form production allowed',
    ]);
    expect(records[0]?.actor).toBe('operator (on the page)');
  });

  it('does nothing for anybody else', async () => {
    await using site = await openDemo();
    await seedEnvironments(site.store);
    const signed = new URL(site.links.environments(acme)).search;
    for (const init of [{}, { headers: { Authorization: 'Bearer wrong' } }]) {
      for (const action of ['rollback', 'promote', 'lock', 'unlock', 'cancel']) {
        expect((await post(site, `${action}${signed}`, { environment: 'production' }, init)).status).toBe(404);
      }
    }
    const evil = { headers: { ...asOperator.headers, 'sec-fetch-site': 'cross-site' } };
    expect((await post(site, 'rollback', { environment: 'production' }, evil)).status).toBe(403);
    expect(site.asked).toEqual([]);
    expect((await site.store.audit.list(null, 20)).map(({ decision }) => decision)).not.toContain('allowed');
  });

  it('says why something was not done, and leads to what was', async () => {
    const message = 'production is locked by linus: <b>Black Friday</b>.';
    await using site = await openDemo({
      rollback: async () => ({ kind: 'refused', message }),
      promote: async () => ({ kind: 'unknown', message: 'There is no environment "prod".' }),
      lock: async () => ({ kind: 'accepted', message: 'done', runId: 'r1' }),
    });
    await seedEnvironments(site.store);
    const refused = await post(site, 'rollback', { environment: 'production' });
    expect(refused.status).toBe(409);
    expect(refused.text).toContain('production is locked by linus: &lt;b&gt;Black Friday&lt;/b&gt;.');
    expect((await post(site, 'promote', { from: 'staging', to: 'prod' })).status).toBe(404);
    const made = await post(site, 'lock', { environment: 'x' });
    expect(made.headers.get('location')).toContain('/runs/r1?s=');
    const [, , audited] = await site.store.audit.list('acme/shop', 3);
    expect(audited).toMatchObject({ action: 'rollback form', decision: 'refused', subject: 'production' });
  });

  it('shows what comes, without being loaded again', async () => {
    await using site = await openDemo();
    const { running } = await seedEnvironments(site.store);
    const url = site.links.environments(acme).replace('?', '/events?');
    const stream = await fetch(url, { signal: AbortSignal.timeout(20_000) });
    const reader = stream.body?.pipeThrough(new TextDecoderStream()).getReader();
    let heard = '';
    const hear = async (text: string) => {
      while (!heard.includes(text)) {
        const { value, done } = (await reader?.read()) ?? { value: '', done: true };
        if (done) throw new Error(`The stream ended: ${heard}`);
        heard += value;
      }
    };
    await hear('1 of 3 updated, 3 available');
    await site.store.runs.progress({ jobId: running, attempt: 1, worker: 'worker' }, { progress: '2 of 3 updated' });
    site.changes.notify((await site.store.runs.job(running))?.runId ?? '');
    await hear('2 of 3 updated');
    await reader?.cancel();
  });

  it('says that there is nothing yet', async () => {
    await using site = await openDemo({ where: async () => [] });
    await seedEnvironments(site.store);
    expect((await page(site.links.environments(acme))).text).toContain('names no environment, and nothing');
    await using empty = await openDemo();
    expect((await page(`${empty.url}/environments`, asOperator)).text).toContain('Nothing was deployed yet');
  });
});

it('shows the operator all repositories with what is where, and asks no cluster for it', async () => {
  await using site = await openDemo();
  await seedEnvironments(site.store);
  expect((await page(site.url, asOperator)).text).toContain('<a href="/environments">Environments</a>');
  const { text } = await page(`${site.url}/environments`, asOperator);
  const plain = text.replaceAll(/<[^>]*>/g, ' ').replaceAll(/\s+/g, ' ');
  expect(plain).toContain('acme/shop locked production v1.6.0 · 6666666 · ada · 1 in the queue · locked by linus');
  expect(plain).toContain('deploying staging Fix the tax of gift cards · 9999999 · linus · 1 in the queue');
  expect(plain).toContain('and 1 preview');
  expect(text).toContain(`${new URL(site.links.environments(acme)).search}#env-production`);
});

it('shows on the page of a deployment what it reports, and how many have approved', async () => {
  await using site = await openDemo();
  const { running } = await seedEnvironments(site.store);
  const gate = { kind: 'approval', gate: 'step 2', needed: 2, given: ['ada'] } as const;
  const report = '### Steps\n\n| Step | State |\n| --- | --- |\n| 10 % | `<done>` |';
  await site.store.runs.progress({ jobId: running, attempt: 1, worker: 'worker' }, { gate, report });
  const { runId = '' } = (await site.store.runs.job(running)) ?? {};
  const { text } = await page(site.links.job(runId, running));
  expect(text).toContain('1 of 2 approvals, by ada.');
  expect(text).toContain('<h3>Steps</h3>');
  expect(text).toContain('<td><code>&lt;done&gt;</code></td>');
  // The page of another run is seen by whoever has its link; the environments by the operator alone.
  expect((await page(site.links.run(runId))).text).not.toContain('/environments/');
  expect((await page(site.links.run(runId), asOperator)).text).toContain('href="/environments/acme/shop?s=');
});

it('shows on the page of a run what each workload ran before, and what the steps said', async () => {
  await using site = await openDemo();
  await seedEnvironments(site.store);
  const [, failed] = await site.store.deployments.list(acme.id, 'production', 2);
  if (failed === undefined) throw new Error('There is none.');
  const steps = {
    attempt: 1,
    step: 1,
    since: 1,
    phase: 'ended',
    workloads: [],
    changes: [],
    notes: {},
    said: ['10 %: <b>aborted</b>.'],
  } as const;
  await site.store.deployments.save({ ...failed, details: { ...failed.details, steps } });
  const { text } = await page(site.links.run(failed.runId));
  expect(text.replaceAll(/<[^>]*>/g, '')).toMatch(
    /shop\/api · api, tried: shop@4a7c3e5b1d9f → ghcr\.io\/acme\/shop@sha256:5a7c3e5b1d9f/,
  );
  expect(text).toContain('10 %: &lt;b&gt;aborted&lt;/b&gt;.');
});
