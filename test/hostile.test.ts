import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { createMarkParser } from '#src/adapters/docker/markers.ts';
import { goMessage } from '#src/adapters/docker/script.ts';
import { folderName, isRef, isRepositoryPath } from '#src/adapters/git/names.ts';
import { checkRunOf } from '#src/adapters/github/report/check-run.ts';
import { deploymentOf } from '#src/adapters/github/report/deployment.ts';
import { runCheckOf } from '#src/adapters/github/report/run-check.ts';
import { escapeMarkdown, fenced, maxBytes, titleOf } from '#src/adapters/github/report/text.ts';
import { jobLine, lineSplitter, summary } from '#src/cli/display.ts';
import { annotate } from '#src/model/annotations/index.ts';
import { formatDiagnostic } from '#src/model/diagnostic.ts';
import { harmless, terminalLine } from '#src/model/harmless.ts';
import type { Job, Run, RunView } from '#src/model/run.ts';
import { planned, plannedRun, push, owned } from '#test/contracts/store-fixtures.ts';
import { hostileTexts } from '#test/hostile.ts';
import { jobOf, plannedOf, runOf, sha } from '#test/model/samples.ts';
import { openSite } from '#test/web/site.ts';

// oxlint-disable-next-line no-control-regex
const neverShown = /[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]/;
const each = hostileTexts.map((text) => [JSON.stringify(text).slice(0, 60), text] as const);

/** A run in which everything that comes from outside is the text. */
function hostileView(text: string): RunView {
  const at = { startedAt: 1_000, finishedAt: 2_000 };
  const step = { name: text, index: 0, state: 'completed', exitCode: 1, logStart: 0, logEnd: null, ...at } as const;
  const annotation = { path: text, startLine: 1, endLine: 1, level: 'failure', title: text, message: text } as const;
  const test: Job = {
    ...jobOf('test', {}, { kind: 'failure', reason: text }),
    ...at,
    plan: plannedOf(text, { needs: [text] }),
    progress: text,
    steps: [step],
    tests: { total: 1, failed: 1, skipped: 0, failures: [text] },
    annotations: [annotation, { ...annotation, path: 'src/a.ts' }],
    earlier: [
      { attempt: 1, outcome: { kind: 'broken', reason: text }, why: text, by: 'retry', startedAt: 0, finishedAt: 1 },
    ],
  };
  const run: Run = {
    ...runOf({
      kind: 'push',
      branch: text,
      sha,
      ref: `refs/heads/${text}`,
      actor: text,
      title: text,
    }),
    state: 'completed',
    outcome: { kind: 'failure', reason: text },
    diagnostics: [{ severity: 'error', code: 'x', message: text, hint: text, at: { file: text, line: 1, column: 1 } }],
    pipelineFile: text,
    finishedAt: 3_000,
  };
  return { run, jobs: [test] };
}

/** Nothing that Markdown would make something of, beside what we wrote ourselves. */
function expectQuiet(markdown: string): void {
  const outside = markdown.replaceAll(/^(`{3,})text\n[^]*?\n\1$/gm, '');
  expect(outside).not.toMatch(/(^|[^\\])(!\[|\]\(https:\/\/evil)/);
  expect(outside).not.toMatch(/<[a-z!/]/i);
  expect(outside).not.toMatch(/https?:\/\/evil|www\.evil/);
  expect(outside).not.toMatch(/(^|[^\w`])@\w/);
  expect(outside).not.toMatch(/^\s*(`{3}|~{3}|#|>)/m);
}

describe.each(each)('%s', (_shown, text) => {
  it('is text in a check run', () => {
    const view = hostileView(text);
    const [job] = view.jobs;
    if (!job) throw new Error('no job');
    const extras = { detailsUrl: 'https://ci.example/j', excerpt: `${text}\n${text}`, externalId: 'x' };
    const deploy = {
      ...job,
      plan: { ...job.plan, work: { kind: 'deploy', environment: text, url: text } },
    } as unknown as Job;
    const runCheck = runCheckOf({ ...view, jobs: [] }, extras);
    const check = checkRunOf(view, job, extras);
    const deployment = deploymentOf(view, deploy, true);
    for (const one of [check, runCheck]) {
      expect(one).not.toBeNull();
      expectQuiet(one?.summary ?? '');
      expect(Buffer.byteLength(one?.summary ?? '')).toBeLessThanOrEqual(maxBytes);
      expect(one?.title.length).toBeLessThanOrEqual(255);
      expect(one?.title).not.toMatch(/\n|(^|[^\w`])@\w/);
      for (const { path } of one?.annotations ?? []) expect(path).not.toMatch(/^\/|(^|\/)\.\.(\/|$)/);
    }
    expect(check.annotations.length).toBeGreaterThan(0);
    expectQuiet(check.text ?? '');
    expect(deployment?.description).not.toMatch(/\n|(^|[^\w`])@\w/);
    expect(deployment?.status.environmentUrl ?? 'https://').toMatch(/^https?:\/\//);
    for (const shown of [check, runCheck, deployment?.description, deployment?.status.description]) {
      expect(everyText(shown).filter((one) => neverShown.test(one) || !one.isWellFormed())).toEqual([]);
    }
  });

  it('stays one line and in its code block', () => {
    expect(escapeMarkdown(text)).not.toMatch(/\n/);
    expect(titleOf(text)).not.toMatch(/\n/);
    const block = fenced(text, 10_000, 'start');
    const [fence = ''] = /^`+/.exec(block) ?? [];
    expect(block.slice(fence.length, -fence.length)).not.toContain(fence);
  });

  it('is text on a terminal', () => {
    const view = hostileView(text);
    const split = lineSplitter();
    const log = [...split.push(Buffer.from(`${text}\n${text}`)), split.rest()];
    const lines = [...log, ...summary(view, 0), ...view.jobs.map((job) => jobLine(job, 0)), terminalLine(text)];
    const said = [...lines, ...view.run.diagnostics.map(formatDiagnostic)];
    for (const line of said) {
      // oxlint-disable-next-line no-control-regex
      expect(line.replaceAll(/\x1b\[[0-9;:]*m/g, '')).not.toMatch(/[\0-\x08\x0b-\x1f\x7f-\x9f]/);
      // oxlint-disable-next-line no-control-regex
      expect(line).toMatch(/^[^\x1b]*$|\x1b\[0m$/);
    }
  });

  it('is a value in a shell', () => {
    if (text.length > 10_000) return;
    const folder = mkdtempSync(join(tmpdir(), 'slipway-shell-'));
    try {
      const message = goMessage({
        nonce: 'n',
        shell: 'sh',
        env: { TITLE: text },
        artifacts: [],
        reports: [],
        inputs: 0,
        given: [],
      });
      expect(message).not.toContain('\0');
      const line = /^export TITLE=[^]*?(?=\nexec )/m.exec(message)?.[0] ?? '';
      for (const shell of ['sh', 'bash']) {
        const out = execFileSync(shell, { cwd: folder, input: `${line}\nprintf %s "$TITLE" | cat`, encoding: 'utf8' });
        expect(out).toBe(text.replaceAll('\0', '').toWellFormed());
      }
      expect(readdirSync(folder)).toEqual([]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('is no mark, no annotation of a file elsewhere, and one record in the log', () => {
    const pieces = createMarkParser('f'.repeat(32)).push(Buffer.from(`${text}\n`));
    expect(pieces.filter(({ kind }) => kind === 'mark')).toEqual([]);
    for (const { path } of annotate([text, `${text}:1:1: error: x`, `/etc/passwd:1:1: error: ${text}`])) {
      expect(path).not.toMatch(/^\/|(^|\/)\.\.(\/|$)|etc\/passwd/);
    }
    let written = '';
    pino({}, { write: (line: string) => void (written += line) }).warn({ title: text, [text]: 1 }, text);
    expect(written.trimEnd().split('\n')).toHaveLength(1);
    expect(JSON.parse(written)).toMatchObject({ level: 40 });
  });

  it('leads git and files nowhere', () => {
    const name = folderName({
      id: 7,
      owner: text,
      name: text,
      defaultBranch: text,
      private: true,
      cloneUrl: text,
      installationId: 1,
    });
    expect(name).toMatch(/^7-[\w.-]*$/);
    expect(isRef(text)).toBe(false);
    expect(isRepositoryPath(text) && /^\/|(^|\/)\.\.(\/|$)|\0/.test(text)).toBe(false);
  });
});

it('all of them are text on the pages', async () => {
  await using site = await openSite();
  const { id, jobs } = await plannedRun(
    site.store,
    { ...push('a'.repeat(40)), title: hostileTexts.join(' ').slice(0, 50_000) },
    [planned('test')],
  );
  const jobId = jobs[0] ?? '';
  const writer = await site.logs.open({ jobId, attempt: 1 });
  for (const text of hostileTexts) writer.write(Buffer.from(`${text}\n`));
  await writer.close();
  await site.store.runs.queue(jobId, 1_000);
  await site.store.runs.claim('worker', ['script'], 1_000);
  const reason = hostileTexts.join('\n').replaceAll('\0', '');
  const [job] = hostileView(reason).jobs;
  if (!job) throw new Error('no job');
  const { steps, annotations, tests } = job;
  expect(await site.store.runs.progress(owned(jobId), { steps })).toBe(true);
  const result = { outcome: { kind: 'failure', reason }, at: 2_000, annotations, tests } as const;
  expect(await site.store.runs.complete(owned(jobId), result)).toBe(true);
  for (const url of [site.links.run(id), site.links.job(id, jobId)]) {
    const text = await (await fetch(url)).text();
    expect(text).toContain('pwned');
    const tags = [...text.matchAll(/<([a-z]+)([^>]*)>/gi)];
    for (const [whole = '', tag = '', attributes = ''] of tags) {
      expect(whole).not.toContain('pwned()');
      expect(whole).not.toMatch(/evil\.example/);
      expect(attributes).not.toMatch(/\son\w+=|srcdoc=|javascript:/i);
      expect(['base', 'iframe', 'object', 'embed', 'svg']).not.toContain(tag);
    }
    expect([...text.matchAll(/<script[^>]*>/g)].map(([tag]) => /src="\/assets\//.test(tag))).toEqual([true]);
    expect(text).not.toMatch(/<\/title>[^]*<\/title>/);
  }
  const response = await fetch(site.links.log(id, jobId));
  expect(response.headers.get('content-type')).toBe('text/plain; charset=utf-8');
  expect(response.headers.get('x-content-type-options')).toBe('nosniff');
  expect(response.headers.get('set-cookie')).toBeNull();
});

it('what people write is left as it is', () => {
  for (const text of ['Größen in Zoll', '日本語のテスト', 'مرحبا', '👩‍👩‍👧 👍🏽', 'tab\there', 'e\u0301']) {
    expect(harmless(text)).toBe(text);
    expect(terminalLine(text)).toBe(text);
  }
  expect(terminalLine('\u001b[32m✓\u001b[0m passed')).toBe('\u001b[32m✓\u001b[0m passed\u001b[0m');
  expect(terminalLine('10 %\r50 %\r100 %\r')).toBe('100 %');
});

function everyText(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (value === null || typeof value !== 'object') return [];
  return Object.values(value).flatMap(everyText);
}
