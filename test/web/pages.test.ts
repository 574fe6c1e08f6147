import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { owned, planned, plannedRun, pullRequest, push, shop } from '#test/contracts/store-fixtures.ts';
import { seedHistory, seedPullRequest } from './demo-data.ts';
import { openSite, operatorToken, type Site } from './site.ts';

let site: Site;
beforeEach(async () => {
  site = await openSite();
});
afterEach(async () => {
  expect(site.errors).toEqual([]);
  await site[Symbol.asyncDispose]();
});

async function page(url: string, init: RequestInit = {}): Promise<{ status: number; text: string; headers: Headers }> {
  const response = await fetch(url, { redirect: 'manual', ...init });
  return { status: response.status, text: await response.text(), headers: response.headers };
}

/** The page of the last runs, as the operator sees it. */
const home = () => page(site.url, { headers: { Authorization: `Bearer ${operatorToken}` } });

describe('a run', () => {
  it('shows its cause, its jobs with their states and reasons, and remarks on its file', async () => {
    const { runId } = await seedPullRequest(site);
    const { status, text } = await page(site.links.run(runId));
    expect(status).toBe(200);
    expect(text).toContain('Round discounts to whole cents &amp; show them &lt;early&gt;');
    expect(text).toContain('<a href="https://github.example/acme/shop/pull/42">pull request #42</a>');
    expect(text).toContain('/commit/c0ffee1234567890c0ffee1234567890c0ffee12');
    expect(text).toContain('Step 3 (npm test) failed with exit code 1.');
    expect(text).toContain('Only pushes to main are deployed to staging.');
    expect(text).toContain('slipway.yml:14:12: warning: The image node has no tag');
    expect(text).toContain('after lint, test (node 22), test (node 24)');
  });

  it('shows where its deployments stand', async () => {
    const { id, jobs } = await plannedRun(site.store, push('a'.repeat(40)), [planned('deploy staging', 'deploy')]);
    await site.store.deployments.save({
      id: 'd1',
      repositoryId: 1,
      repository: 'acme/shop',
      environment: 'staging',
      sha: 'a'.repeat(40),
      runId: id,
      jobId: jobs[0] ?? '',
      actor: 'ada',
      state: 'in_progress',
      description: '1 of 3 pods is ready.',
      changes: [{ workload: 'deployment shop/api', before: null, after: 'ghcr.io/acme/shop@sha256:12' }],
      createdAt: 1000,
      patchedAt: null,
      details: {},
      updatedAt: 1000,
    });
    const { text } = await page(site.links.run(id));
    expect(text).toContain('1 of 3 pods is ready.');
    expect(text).toContain('<code>ghcr.io/acme/shop@sha256:12</code>');
  });

  it('of a stranger says what it waits for, what is changed, and who let it run', async () => {
    const sha = 'e'.repeat(40);
    const { runs } = site.store;
    const { run } = await runs.create({
      repository: shop,
      trigger: pullRequest(sha, 7, 'evil', true),
      pullRequest: 7,
      at: Date.now(),
    });
    await runs.trust(run.id, {
      trusted: false,
      reason: '@eve has no write permission on Acme/Shop (GitHub reports "read").',
      approval: 'needed',
      approvedBy: null,
      remarks: ["<b>slipway.yml</b>, which decides what runs, isn't the same as on main."],
    });
    const held = (await page(site.links.run(run.id))).text;
    expect(held).toContain('waits for approval');
    expect(held).toContain('@eve has no write permission on Acme/Shop');
    expect(held).toContain('&lt;b&gt;slipway.yml&lt;/b&gt;');
    expect(held).toContain(`<code>/ok-to-test ${sha}</code>`);
    expect((await home()).text).toContain('waits for approval');
    await runs.approve(run.id, 'ada');
    const approved = (await page(site.links.run(run.id))).text;
    expect(approved).toContain('Approved by ada.');
    expect(approved).not.toContain('/ok-to-test');
    expect((await home()).text).not.toContain('waits for approval');
  });

  it("doesn't exist for whoever lacks its signature", async () => {
    const { runId, jobs } = await seedPullRequest(site);
    const job = jobs['lint']?.id ?? '';
    const other = new URL(site.links.run('another')).searchParams.get('s');
    for (const path of ['', '/events', `/jobs/${job}`, `/jobs/${job}/events`, `/jobs/${job}/log`]) {
      for (const query of ['', '?s=', '?s=wrong', `?s=${other}`, '?s[]=a&s[]=b']) {
        expect((await page(`${site.url}/runs/${runId}${path}${query}`)).status).toBe(404);
      }
    }
    expect((await page(site.links.run('unknown'))).status).toBe(404);
    expect((await page(site.links.job(runId, 'unknown'))).status).toBe(404);
  });

  it("doesn't open another run's jobs", async () => {
    const { runId } = await seedPullRequest(site);
    const other = await plannedRun(site.store, push('b'.repeat(40)), [planned('secret')]);
    expect((await page(site.links.job(runId, other.jobs[0] ?? ''))).status).toBe(404);
    expect((await page(site.links.log(runId, other.jobs[0] ?? ''))).status).toBe(404);
  });
});

describe('a job', () => {
  it('shows its log in colours, folded by step, the failed one open, with failing tests and remarks', async () => {
    const { runId, jobs } = await seedPullRequest(site);
    const { text } = await page(site.links.job(runId, jobs['test (node 22)']?.id ?? ''));
    expect(text).toContain('<span class="f1 bold">AssertionError</span>');
    expect(text).toContain('cents: 0.5');
    expect(text).toContain('&quot;&lt;tea&gt;&quot;');
    expect(text).toContain('id="L16"');
    expect(text).toMatch(/data-section="1" +>/);
    expect(text).toMatch(/data-section="2" open/);
    expect(text).toContain('exit code 1');
    expect(text).toContain('38 passed, 2 failed, 1 skipped');
    expect(text).toContain('<code>src/discount.ts:18</code>');
    expect(text).not.toContain('data-events');
  });

  it('gives the whole log as a file', async () => {
    const { runId, jobs } = await seedPullRequest(site);
    const { text, headers } = await page(site.links.log(runId, jobs['lint']?.id ?? ''));
    expect(text).toBe('Pulling node:24-slim\nadded 312 packages in 4s\n\x1b[32m✓\x1b[0m no problems in 88 files\n');
    expect(headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(headers.get('content-disposition')).toBe('attachment; filename=lint-1.log');
  });

  it('shows the end of a long log and where the whole is', async () => {
    const { id, jobs } = await plannedRun(site.store, push('a'.repeat(40)), [planned('test')]);
    const jobId = jobs[0] ?? '';
    const writer = await site.logs.open({ jobId, attempt: 1 });
    const lines = Array.from({ length: 200_000 }, (_, i) => `line ${i + 1} of a long log\n`);
    for (const line of lines) writer.write(Buffer.from(line));
    await writer.close();
    await site.store.runs.complete(owned(jobId), { outcome: { kind: 'success' }, at: 2000 });
    const { text } = await page(site.links.job(id, jobId));
    expect(text.length).toBeLessThan(2_000_000);
    expect(text).toContain('id="L200000"');
    expect(text).toContain('line 200000 of a long log');
    expect(text).toContain('the whole log</a> has them');
    expect((await page(site.links.log(id, jobId))).text).toBe(lines.join(''));
  });

  it('lets the operator cancel what runs, and nobody else', async () => {
    const cancelled: string[] = [];
    await using own = await openSite({ cancel: async (runId) => void cancelled.push(runId) });
    const { id } = await plannedRun(own.store, push('a'.repeat(40)), [planned('a')]);
    const headers = { Authorization: `Bearer ${operatorToken}` };
    const button = 'Cancel this run';
    const post = { method: 'POST', redirect: 'manual' } as const;
    expect(await (await fetch(own.links.run(id))).text()).not.toContain(button);
    expect((await fetch(own.links.cancel(id), post)).status).toBe(404);
    expect(cancelled).toEqual([]);
    expect(await (await fetch(own.links.run(id), { headers })).text()).toContain(button);
    expect((await fetch(own.links.cancel(id), { ...post, headers })).status).toBe(303);
    expect(cancelled).toEqual([id]);
    await own.store.runs.cancel(id, { reason: 'Cancelled by @ada.', by: 'person' });
    expect(await (await fetch(own.links.run(id), { headers })).text()).not.toContain(button);
  });

  it('keeps the logs of earlier attempts', async () => {
    const { runId, jobs } = await seedPullRequest(site);
    const jobId = jobs['lint']?.id ?? '';
    await site.store.runs.restart(runId, [jobId], '@ada re-ran it', Date.now());
    expect((await page(site.links.job(runId, jobId))).text).not.toContain('no problems');
    expect((await page(`${site.links.job(runId, jobId)}&attempt=1`)).text).toContain('no problems in 88 files');
    expect((await page(`${site.links.job(runId, jobId)}&attempt=3`)).status).toBe(404);
  });
});

describe('the home page', () => {
  const signIn = (token: string) =>
    page(`${site.url}/sign-in`, { method: 'POST', body: new URLSearchParams({ token }) });

  it('opens to the operator only', async () => {
    await seedHistory(site);
    expect((await page(site.url)).text).toContain('Sign in');
    expect((await page(site.url)).text).not.toContain('Speed up checkout');
    for (const headers of [{ Authorization: 'Bearer wrong' }, { Cookie: 'slipway_operator=9999999999999.x' }]) {
      expect((await page(site.url, { headers })).text).not.toContain('Speed up checkout');
    }
    const wrong = await signIn('wrong');
    expect([wrong.status, wrong.headers.get('set-cookie')]).toEqual([401, null]);

    const right = await signIn(operatorToken);
    const cookie = right.headers.get('set-cookie') ?? '';
    expect([right.status, right.headers.get('location')]).toEqual([303, '/']);
    expect(cookie).toMatch(/HttpOnly; SameSite=Strict$/);
    expect(cookie).not.toContain(encodeURIComponent(operatorToken));
    const home = await page(site.url, { headers: { Cookie: cookie.split(';')[0] ?? '' } });
    expect(home.text).toContain('Speed up checkout');
    expect(home.text).toContain('Größen in Zoll anzeigen');
    const badge = /!\[build\]\((.*?)\)/.exec(home.text)?.[1] ?? '';
    expect((await page(new URL(badge.replaceAll('&amp;', '&'), site.url).href)).text).not.toContain('build: unknown');
    const bearer = await page(site.url, { headers: { Authorization: `Bearer ${operatorToken}` } });
    expect(bearer.text).toContain('Speed up checkout');
  });

  it('pages through many runs', async () => {
    for (let i = 0; i < 120; i += 1) await plannedRun(site.store, push(`${i}`.padStart(40, '0')), []);
    const headers = { Authorization: `Bearer ${operatorToken}` };
    const counts: number[] = [];
    for (let path: string | undefined = '/'; path; ) {
      const { text } = await page(`${site.url}${path}`, { headers });
      counts.push(text.split('class="what"').length - 1);
      path = /rel="next" href="([^"]+)"/.exec(text)?.[1];
    }
    expect(counts).toEqual([50, 50, 20]);
  });

  it('says how to open it when there is no token', async () => {
    await using closed = await openSite({ operatorToken: null });
    const headers = { Authorization: 'Bearer null', Cookie: 'slipway_operator=' };
    const { status, text } = await page(closed.url, { headers });
    expect(status).toBe(200);
    expect(text).toContain('SLIPWAY_TOKEN');
    expect(
      (await page(`${closed.url}/sign-in`, { method: 'POST', body: new URLSearchParams({ token: '' }) })).status,
    ).toBe(401);
  });
});

describe('every page', () => {
  it('runs no foreign script, is in no frame, and tells nobody its address', async () => {
    const { runId } = await seedPullRequest(site);
    for (const url of [site.links.run(runId), site.url, `${site.url}/nowhere`]) {
      const { headers, text } = await page(url);
      expect(headers.get('content-security-policy')).toBe(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
      );
      expect(headers.get('referrer-policy')).toBe('same-origin');
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('x-frame-options')).toBe('DENY');
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('x-powered-by')).toBeNull();
      expect(text).not.toMatch(/ style=| on[a-z]+=|<script(?! src="\/assets\/)/);
    }
  });

  it('has assets that may be kept for ever', async () => {
    const { text } = await page(site.url);
    const urls = [...text.matchAll(/(?:href|src)="(\/assets\/[^"]+)"/g)].map((match) => match[1]);
    expect(new Set(urls).size).toBe(3);
    for (const url of urls) {
      const asset = await page(`${site.url}${url}`);
      expect([asset.status, asset.headers.get('cache-control')]).toEqual([200, 'public, max-age=31536000, immutable']);
    }
  });

  it('says what is the matter when it is not there or malformed', async () => {
    const missing = await page(`${site.url}/nowhere`);
    expect([missing.status, missing.text.includes('There is nothing at this address.')]).toEqual([404, true]);
    const malformed = await page(`${site.url}/runs/%E0%A4%A`);
    expect(malformed.status).toBe(400);
    expect(malformed.text).not.toContain('URIError');
  });

  it('hides what went wrong behind it, and tells the log', async () => {
    await using broken = await openSite();
    const url = broken.links.run('some-run');
    await broken.store.close();
    const { status, text } = await page(url);
    expect(status).toBe(500);
    expect(text).toContain('Its log says why.');
    expect(text).not.toMatch(/database|node_modules|at .*:\d+/);
    expect(broken.errors).toEqual([expect.objectContaining({ name: 'PlatformError' })]);
  });
});
