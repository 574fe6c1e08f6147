import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { LogWriter } from '#src/engine/ports.ts';
import type { Step } from '#src/model/run.ts';
import { planned, plannedRun, push } from '#test/contracts/store-fixtures.ts';
import { openSite, type Site } from './site.ts';

let site: Site;
let runId: string;
let jobId: string;
let writer: LogWriter;
beforeEach(async () => {
  site = await openSite();
  const { id, jobs } = await plannedRun(site.store, push('a'.repeat(40)), [planned('test')]);
  [runId, jobId] = [id, jobs[0] ?? ''];
  await site.store.runs.queue(jobId, 2000);
  await site.store.runs.claim('w', ['script'], 3000);
  writer = await site.logs.open({ jobId, attempt: 1 });
});
afterEach(async () => {
  await writer.close();
  expect(site.errors).toEqual([]);
  await site[Symbol.asyncDispose]();
});

interface StreamEvent {
  readonly event: string;
  readonly id: number | null;
  readonly data: unknown;
}

/** Server-sent events of the job, read as a browser does. Ends with the connection. */
async function* events(options: { readonly after?: number } = {}): AsyncGenerator<StreamEvent> {
  const url = site.links.job(runId, jobId).replace('?', '/events?');
  const headers = options.after === undefined ? {} : { 'Last-Event-ID': `${options.after}` };
  const response = await fetch(url, { headers });
  expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
  let rest = '';
  try {
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      const blocks = (rest + chunk).split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) {
        const fields = new Map(block.split('\n').map((line) => line.split(/: (.*)/s, 2) as [string, string]));
        const event = fields.get('event');
        if (event === undefined) continue;
        const id = fields.get('id');
        yield { event, id: id === undefined ? null : Number(id), data: JSON.parse(fields.get('data') ?? 'null') };
      }
    }
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // the connection was cut
  }
}

function linesOf(event: StreamEvent): string[] {
  return event.event === 'log' ? (event.data as { lines: string[] }).lines : [];
}

/** The job, as the server that claimed it names it. */
function owned() {
  return { jobId, attempt: 1, worker: 'w' };
}

async function complete(): Promise<void> {
  await writer.close();
  await site.store.runs.complete(owned(), { outcome: { kind: 'failure', reason: 'exit code 1' }, at: 9000 });
  site.changes.notify(runId);
}

describe("a job's stream", () => {
  it('sends what was there, what comes, and how it ended', async () => {
    writer.write(Buffer.from('first\nsec'));
    const lines: string[] = [];
    const kinds = new Set<string>();
    let state = '';
    for await (const event of events()) {
      kinds.add(event.event);
      lines.push(...linesOf(event));
      if (event.event === 'state') state = (event.data as { live: string }).live;
      if (event.event !== 'log') continue;
      if (lines.length === 1) writer.write(Buffer.from('ond\n\x1b[31mthi'));
      if (lines.length === 2) await complete();
    }
    expect(lines).toEqual(['first', 'second', '<span class="f1">thi</span>']);
    expect(state).toContain('exit code 1');
    expect([...kinds]).toEqual(['state', 'log', 'end']);
  });

  it('goes on after Last-Event-ID without loss or repetition, in the colours that are on', async () => {
    const all = Array.from({ length: 300 }, (_, i) => `Zeile ${i} 🚢\n`);
    writer.write(Buffer.from('\x1b[32m'));
    const writing = (async () => {
      for (const line of all) {
        // Torn in the middle of a character.
        const bytes = Buffer.from(line);
        writer.write(bytes.subarray(0, bytes.length - 3));
        await sleep(1);
        writer.write(bytes.subarray(bytes.length - 3));
      }
      await complete();
    })();
    const lines: string[] = [];
    let after: number | undefined;
    let ended = false;
    let connections = 0;
    while (!ended) {
      connections += 1;
      let received = 0;
      for await (const event of events(after === undefined ? {} : { after })) {
        lines.push(...linesOf(event));
        after = event.id ?? after;
        ended = event.event === 'end';
        received += event.event === 'log' ? 1 : 0;
        if (received === 2 && !ended) break;
      }
    }
    await writing;
    expect(connections).toBeGreaterThan(2);
    expect(lines).toEqual(all.map((line) => `<span class="f2">${line.trimEnd()}</span>`));
  });

  it('puts lines into the step that they belong to', async () => {
    const step = (index: number, logStart: number, logEnd: number | null): Step => ({
      index,
      name: `step ${index}`,
      state: 'running',
      exitCode: null,
      startedAt: 1,
      finishedAt: null,
      logStart,
      logEnd,
    });
    writer.write(Buffer.from('pulling\none\n'));
    await site.store.runs.progress(owned(), { steps: [step(0, 8, null)] });
    const sections: unknown[] = [];
    for await (const event of events()) {
      if (event.event !== 'log') continue;
      const { section, lines } = event.data as { section: unknown; lines: string[] };
      sections.push(...lines.map((line) => [section, line]));
      if (sections.length === 2) {
        await site.store.runs.progress(owned(), { steps: [step(0, 8, 12), step(1, 12, null)] });
        writer.write(Buffer.from('two\n'));
      }
      if (sections.length === 3) await complete();
    }
    expect(sections).toEqual([
      ['before', 'pulling'],
      [0, 'one'],
      [1, 'two'],
    ]);
  });

  it('of a completed job sends the rest and ends', async () => {
    writer.write(Buffer.from('x\n'.repeat(50_000)));
    await complete();
    let lines = 0;
    let last = '';
    for await (const event of events({ after: 20_000 })) {
      lines += linesOf(event).length;
      last = event.event;
    }
    expect([lines, last]).toEqual([40_000, 'end']);
  });

  it('tells that the job was started over', async () => {
    const seen: string[] = [];
    for await (const event of events()) {
      seen.push(event.event);
      if (seen.length > 1) continue;
      await site.store.runs.complete(owned(), { outcome: { kind: 'cancelled', reason: 'x' }, at: 9000 });
      await site.store.runs.restart(runId, [jobId], '@ada re-ran it', 9001);
      site.changes.notify(runId);
    }
    expect(seen).toEqual(['state', 'restart']);
  });
});

describe("a run's stream", () => {
  it('sends the page as it changes, until the run is completed', async () => {
    const response = await fetch(site.links.run(runId).replace('?', '/events?'));
    let text = '';
    let told = false;
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      text += chunk;
      if (told || !text.includes('running')) continue;
      told = true;
      await complete();
      await site.store.runs.finish(runId, { kind: 'failure', reason: 'test' }, [], 9001);
      site.changes.notify(runId);
    }
    expect(text).toContain('failed');
    expect(text.trimEnd().endsWith('event: end\ndata: null')).toBe(true);
  });
});
