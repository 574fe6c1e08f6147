import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import type { Step } from '#src/model/run.ts';
import { planned, plannedRun, push, owned } from '#test/contracts/store-fixtures.ts';
import { seedHistory, seedPullRequest } from '#test/web/demo-data.ts';
import { demoEnvironments, seedEnvironments } from '#test/web/demo-environments.ts';
import { openSite, operatorToken, type Site } from '#test/web/site.ts';

let browser: Browser;
beforeAll(async () => {
  browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
});
afterAll(async () => {
  await browser.close();
});

/** A page that fails the test when its policy refuses something or its script breaks. */
async function openPage(complaints: string[], context: Browser | BrowserContext = browser): Promise<Page> {
  const page = await context.newPage();
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().includes('net::ERR')) complaints.push(message.text());
  });
  return page;
}

async function startJob(site: Site) {
  const { id, jobs } = await plannedRun(site.store, push('a'.repeat(40)), [planned('test')]);
  const jobId = jobs[0] ?? '';
  await site.store.runs.queue(jobId, Date.now());
  await site.store.runs.claim('worker', ['script'], Date.now());
  const writer = await site.logs.open({ jobId, attempt: 1 });
  const step = (change: Partial<Step>): Step => ({
    index: 0,
    name: 'npm test',
    state: 'running',
    exitCode: null,
    startedAt: Date.now(),
    finishedAt: null,
    logStart: 0,
    logEnd: null,
    ...change,
  });
  await site.store.runs.progress(owned(jobId), { steps: [step({})] });
  return { runId: id, jobId, writer, step };
}

it('shows a log live, and loses and repeats nothing when the connection drops', async () => {
  await using site = await openSite();
  const { runId, jobId, writer, step } = await startJob(site);
  const expected: string[] = [];
  const write = (text: string) => {
    expected.push(text);
    writer.write(Buffer.from(`\x1b[36m${text}\x1b[0m\n`));
  };
  for (let i = 0; i < 20; i += 1) write(`before the page ${i}`);

  const complaints: string[] = [];
  const page = await openPage(complaints);
  let connections = 0;
  page.on('request', (request) => {
    if (request.url().includes('/events')) connections += 1;
  });
  await page.goto(site.links.job(runId, jobId));
  let written = 0;
  const writing = (async () => {
    for (; written < 300; written += 1) {
      write(`größe ${written} 🚢 <tag>`);
      await sleep(10);
    }
  })();
  for (let drop = 1; drop <= 2; drop += 1) {
    await page
      .locator('.line')
      .nth(20 + drop * 60)
      .waitFor({ state: 'attached' });
    site.dropConnections();
  }
  await writing;
  await writer.close();
  const end = { state: 'completed', exitCode: 1, finishedAt: Date.now(), logEnd: writer.offset } as const;
  await site.store.runs.progress(owned(jobId), { steps: [step(end)] });
  await site.store.runs.complete(owned(jobId), { outcome: { kind: 'failure', reason: 'exit code 1' }, at: Date.now() });
  site.changes.notify(runId);

  await page.locator('#live .pill', { hasText: 'failed' }).waitFor();
  await page
    .locator('.line')
    .nth(expected.length - 1)
    .waitFor({ state: 'attached' });
  expect(connections).toBe(3);
  expect(await page.locator('.line > span').allTextContents()).toEqual(expected);
  expect(await page.locator('.line > a').allTextContents()).toEqual(expected.map((_, i) => `${i + 1}`));
  expect(await page.locator('[data-section="0"] > summary').textContent()).toContain('exit code 1');
  expect(complaints).toEqual([]);
  await page.close();
}, 60_000);

it('opens the step that a link to a line is in', async () => {
  await using site = await openSite();
  const { runId, jobs } = await seedPullRequest(site);
  const complaints: string[] = [];
  const page = await openPage(complaints);
  await page.goto(`${site.links.job(runId, jobs['test (node 22)']?.id ?? '')}#L2`);
  expect(await page.locator('#L2').isVisible()).toBe(true);
  expect(await page.locator('[data-section="1"] .line').first().isVisible()).toBe(false);
  await page.locator('[data-section="1"] > summary').press('Enter');
  expect(await page.locator('[data-section="1"] .line').first().isVisible()).toBe(true);
  expect(complaints).toEqual([]);
  await page.close();
});

it('shows how a run goes on, without loading the page again', async () => {
  await using site = await openSite();
  const { runId, jobId, writer } = await startJob(site);
  const complaints: string[] = [];
  const page = await openPage(complaints);
  await page.goto(site.links.run(runId));
  expect(await page.locator('.card .pill').textContent()).toBe('running');
  await writer.close();
  await site.store.runs.complete(owned(jobId), { outcome: { kind: 'success' }, at: Date.now() });
  await site.store.runs.finish(runId, { kind: 'success' }, [], Date.now());
  site.changes.notify(runId);
  await page.locator('.card .pill', { hasText: 'passed' }).waitFor();
  expect(await page.locator('.headline .pill').textContent()).toBe('passed');
  expect(complaints).toEqual([]);
  await page.close();
});

it('lets the operator in and out by the form', async () => {
  await using site = await openSite();
  await seedHistory(site);
  const complaints: string[] = [];
  const page = await openPage(complaints);
  await page.goto(site.url);
  await page.getByLabel('Token').fill(operatorToken);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('link', { name: 'Speed up checkout' }).click();
  expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('Speed up checkout');
  await page.goto(site.url);
  await page.getByRole('button', { name: 'Sign out' }).click();
  expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('Sign in');
  expect(complaints).toEqual([]);
  await page.close();
});

describe('the page of environments', () => {
  /** Signed in, on acme/shop's page. */
  async function openEnvironments(javaScriptEnabled: boolean) {
    const opened: { site?: Site } = {};
    const environments = demoEnvironments(() => (opened.site as Site).store);
    const site = await openSite({ environments });
    opened.site = site;
    const { running } = await seedEnvironments(site.store);
    const complaints: string[] = [];
    const context = await browser.newContext({ javaScriptEnabled, viewport: { width: 390, height: 800 } });
    const page = await openPage(complaints, context);
    await page.goto(site.url);
    await page.getByLabel('Token').fill(operatorToken);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('link', { name: 'Environments' }).click();
    await page.getByRole('link', { name: 'acme/shop' }).click();
    return { site, asked: environments.asked, page, context, running, complaints };
  }

  it('has buttons that work without JavaScript, and fits on a phone', async () => {
    const { site, asked, page, context, complaints } = await openEnvironments(false);
    await using _site = site;
    const production = page.locator('#env-production');
    const back = production.getByText('Roll back', { exact: true });
    const unlock = production.getByRole('button', { name: 'Unlock' });
    const apart = async () => {
      const [one, other] = [await back.boundingBox(), await unlock.boundingBox()];
      return [(other?.x ?? 0) - (one?.x ?? 0), (other?.y ?? 0) - (one?.y ?? 0)];
    };
    const before = await apart();
    await back.click();
    // The row of buttons stays as it is; what is unfolded stands below it.
    expect(await apart()).toEqual(before);
    const row = await unlock.boundingBox();
    const now = await production.getByRole('button', { name: 'Roll back now' }).boundingBox();
    expect(now?.y).toBeGreaterThan((row?.y ?? 0) + (row?.height ?? 0));
    await production.getByText('Even if it is locked').click();
    await production.getByRole('button', { name: 'Roll back now' }).click();
    await page.locator('#env-staging summary', { hasText: 'Promote' }).click();
    await page.locator('#env-staging').getByRole('button', { name: 'Promote' }).click();
    await page.locator('#env-production').getByRole('button', { name: 'Unlock' }).click();
    await page.locator('#env-production').getByText('History').click();
    await page.locator('#env-production').getByRole('button', { name: 'Roll back to this' }).first().click();
    await page.getByRole('heading', { name: 'Environments' }).waitFor();
    expect(asked).toEqual([
      { what: 'rollback', environment: 'production', to: null, overLock: true },
      { what: 'promote', from: 'staging', to: 'production' },
      { what: 'unlock', environment: 'production' },
      { what: 'rollback', environment: 'production', to: 'v1.4.0', overLock: false },
    ]);
    expect(complaints).toEqual([]);
    await context.close();
  });

  it('shows what comes, but not while somebody fills in a form', async () => {
    const { site, asked, page, context, running, complaints } = await openEnvironments(true);
    await using _site = site;
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(390);
    const staging = page.locator('#env-staging');
    await staging.getByText('History').click();
    await staging.getByText('Lock', { exact: true }).click();
    const why = staging.getByLabel('Why');
    await why.pressSequentially('Bla');
    const tell = async (progress: string) => {
      await site.store.runs.progress({ jobId: running, attempt: 1, worker: 'worker' }, { progress });
      site.changes.notify((await site.store.runs.job(running))?.runId ?? '');
    };
    await tell('2 of 3 updated');
    await why.pressSequentially('ck Friday');
    expect(await why.inputValue()).toBe('Black Friday');
    await why.blur();
    await staging.getByText('2 of 3 updated').waitFor();
    // What was unfolded stays so.
    expect(await staging.locator('.history').getAttribute('open')).toBe('');
    await tell('3 of 3 updated');
    await staging.getByText('3 of 3 updated').waitFor();
    await staging.getByLabel('Why').fill('Later');
    await staging.getByRole('button', { name: 'Lock staging' }).click();
    await page.getByRole('heading', { name: 'Environments' }).waitFor();
    expect(asked).toEqual([{ what: 'lock', environment: 'staging', reason: 'Later' }]);
    expect(complaints).toEqual([]);
    await context.close();
  });
});
