import { once } from 'node:events';
import { type Request, type Response, Router } from 'express';
import { html, raw } from 'hono/html';
import type { Clock, LogName, Logs } from '#src/engine/ports.ts';
import type { Store } from '#src/engine/store.ts';
import { fullName } from '#src/model/repository.ts';
import type { Job, Run, RunView } from '#src/model/run.ts';
import type { Assets } from './assets.ts';
import type { Changes } from './changes.ts';
import { heartbeat, openEventStream } from './event-stream.ts';
import { jobHead, logView, stepSummary, stepsOf } from './job-page.ts';
import { streamJob } from './job-stream.ts';
import { type Html, page } from './layout.ts';
import { readTail } from './log-lines.ts';
import type { Recorder } from './records.ts';
import { sendHtml } from './respond.ts';
import { cancelForm, runBody } from './run-page.ts';
import type { Links, Signer } from './signer.ts';

interface RunRouteParts {
  /** True for the operator, who may cancel. */
  readonly isOperator: (request: Request) => boolean;
  readonly cancel: (runId: string) => Promise<void>;
  readonly record: Recorder;
  readonly store: Store;
  readonly logs: Logs;
  readonly changes: Changes;
  readonly signer: Signer;
  readonly clock: Clock;
}

/** How much of a log's end a page shows, in bytes; the rest is in the file. */
const shownBytes = 256 * 1024;
const readAtOnce = 256 * 1024;

/** /runs/...: pages, streams and logs of runs, for whoever has their signed link. */
export function runRoutes(
  { store, logs, changes, signer, clock, isOperator, cancel, record }: RunRouteParts,
  links: Links,
  assets: Assets,
): Router {
  const router = Router();

  // A wrong signature looks like a run that isn't there.
  router.use('/runs/:id', (request, _response, next) => {
    next(signer.verify(request.params.id, request.query['s']) ? undefined : 'router');
  });

  async function body(view: RunView): Promise<Html> {
    const deploys = view.jobs.filter((job) => job.plan.work.kind === 'deploy');
    const deployments = await Promise.all(deploys.map((job) => store.deployments.ofJob(job.id)));
    return runBody(
      view,
      deployments.filter((deployment) => deployment !== null),
      links,
      clock.now(),
    );
  }

  // What is asked for without its content must not open a stream or read a log.
  const long = ['/runs/:id/events', '/runs/:id/jobs/:jobId/events', '/runs/:id/jobs/:jobId/log'];
  router.head(long, (_request, response) => {
    response.set('Cache-Control', 'no-store').end();
  });

  router.get('/runs/:id', async (request, response, next) => {
    const view = await store.runs.view(request.params.id);
    if (!view) return next();
    const events = `/runs/${view.run.id}/events?s=${signer.sign(view.run.id)}`;
    const live = view.run.state === 'completed' ? '' : raw(`data-events="${events}"`);
    const operator = isOperator(request);
    const form = operator ? cancelForm(view.run, links.cancel(view.run.id)) : null;
    const content = html`<article id="live" ${live}>${await body(view)}</article>${form}${live && liveNotice}`;
    // Who has the link of a run may see the run: of the rest only who signs in.
    const nav = operator ? { nav: html`<a href="${links.environments(view.run.repository)}">Environments</a>` } : {};
    await sendHtml(response, page(assets, { title: titleOf(view.run), body: content, ...nav }));
  });

  router.post('/runs/:id/cancel', async (request, response, next) => {
    const run = await store.runs.get(request.params.id);
    if (!run) return next();
    const about = { action: 'cancel', subject: `run ${run.id}`, repository: fullName(run.repository) };
    if (!isOperator(request)) {
      await record({ ...about, decision: 'refused', reason: 'Only the operator may, signed in.' });
      return next();
    }
    await cancel(run.id);
    await record({ ...about, decision: 'allowed', reason: "The operator pressed the button on the run's page." });
    response.redirect(303, links.run(run.id));
  });

  router.get('/runs/:id/events', async (request, response, next) => {
    const { id } = request.params;
    if (!(await store.runs.get(id))) return next();
    const stream = openEventStream(request, response);
    const unsubscribe = changes.subscribe(id, stream.wake);
    let sent = '';
    try {
      while (!stream.signal.aborted) {
        const view = await store.runs.view(id);
        if (!view) break;
        const text = String(await body(view));
        if (text !== sent) await stream.send('state', { live: text });
        sent = text;
        if (view.run.state === 'completed') {
          await stream.send('end', null);
          break;
        }
        await stream.pause(heartbeat);
      }
    } finally {
      unsubscribe();
      stream.end();
    }
  });

  router.get('/runs/:id/jobs/:jobId', async (request, response, next) => {
    const found = await find(request);
    if (!found) return next();
    const { run, job, log } = found;
    const newest = log.attempt === job.attempt;
    const over = job.state === 'completed' || !newest;
    const tail = await readTail(logs, log, shownBytes, over);
    const gone = over && hasRun(job, log.attempt) && tail.next === 0 && !(await logs.exists(log));
    const steps = newest ? stepsOf(job) : [];
    const events = `/runs/${run.id}/jobs/${job.id}/events?s=${signer.sign(run.id)}&from=${tail.next}`;
    const whole = links.log(run.id, job.id, log.attempt);
    const content = html`<article class="job" ${over ? '' : raw(`data-events="${events}" data-offset="${tail.next}"`)} data-lines="${tail.firstNumber + tail.lines.length - 1}">
<header class="headline" id="live">${jobHead(run, job, links, clock.now())}</header>
<section class="logs" aria-label="Log">
<p class="tools">${!gone && html`<a href="${whole}" download>Download the log</a>`}${attempts(run, job, log.attempt)}
${over ? '' : html`<label class="follow" hidden><input type="checkbox" id="follow" checked> Follow</label>`}</p>
${tail.omitted > 0 && html`<p class="note">The first ${tail.firstNumber - 1} lines are left out here; <a href="${whole}">the whole log</a> has them.</p>`}
${gone && html`<p class="note">This log is no longer kept: the oldest logs are removed when all together take up too much disk.</p>`}
${logView(job, steps, tail)}
</section></article>${!over && liveNotice}`;
    await sendHtml(response, page(assets, { title: `${job.plan.key} · ${titleOf(run)}`, body: content }));
  });

  router.get('/runs/:id/jobs/:jobId/events', async (request, response, next) => {
    const found = await find(request);
    if (!found) return next();
    const { run, job } = found;
    const from = offsetOf(request.get('last-event-id')) ?? offsetOf(request.query['from']) ?? 0;
    const state = async (current: Job) => ({
      live: String(await jobHead((await store.runs.get(run.id)) ?? run, current, links, clock.now())),
      steps: await Promise.all(
        stepsOf(current).map(async (step) => ({
          section: step.index,
          html: String(await stepSummary(step, current.state === 'completed')),
        })),
      ),
    });
    const stream = openEventStream(request, response);
    await streamJob({ store, logs, changes, state }, job, Math.min(from, await logs.size(found.log)), stream);
  });

  router.get('/runs/:id/jobs/:jobId/log', async (request, response, next) => {
    const found = await find(request);
    if (!found) return next();
    // An empty file would say that the job printed nothing.
    if (found.job.state !== 'running' && !(await logs.exists(found.log))) {
      response.status(404).type('text/plain').send('There is no such log, or it is no longer kept.\n');
      return;
    }
    const name = `${found.job.plan.key}-${found.log.attempt}`.replace(/[^\w.-]+/g, '-');
    response.type('text/plain').attachment(`${name}.log`).set('Cache-Control', 'no-store');
    await sendLog(response, logs, found.log);
  });

  async function find(request: Request): Promise<{ run: Run; job: Job; log: LogName } | null> {
    const [run, job] = await Promise.all([
      store.runs.get(String(request.params['id'])),
      store.runs.job(String(request.params['jobId'])),
    ]);
    if (!run || !job || job.runId !== run.id) return null;
    const wanted = offsetOf(request.query['attempt']);
    if (wanted !== null && (wanted < 1 || wanted > job.attempt)) return null;
    return { run, job, log: { jobId: job.id, attempt: wanted ?? job.attempt } };
  }

  function attempts(run: Run, job: Job, shown: number): Html | null {
    if (job.attempt === 1) return null;
    const numbers = Array.from({ length: job.attempt }, (_, i) => i + 1).slice(-10);
    return html`<span>Attempts: ${numbers.map((n) =>
      n === shown
        ? html`<strong aria-current="page">${n}</strong> `
        : html`<a href="${links.job(run.id, job.id)}&amp;attempt=${n}">${n}</a> `,
    )}</span>`;
  }

  return router;
}

/** A job that never began has no log. */
function hasRun(job: Job, attempt: number): boolean {
  return attempt < job.attempt || job.startedAt !== null;
}

const liveNotice = html`<noscript><p class="note">Load the page again to see what has come since.</p></noscript>`;

function titleOf(run: Run): string {
  return `${run.trigger.title || run.trigger.sha.slice(0, 10)} · ${run.repository.name}`;
}

function offsetOf(text: unknown): number | null {
  return typeof text === 'string' && /^\d{1,15}$/.test(text) ? Number(text) : null;
}

/** What there is of the log now, no faster than the reader takes it. */
async function sendLog(response: Response, logs: Logs, log: LogName): Promise<void> {
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  const size = await logs.size(log);
  for (let from = 0; from < size && !gone.signal.aborted; from += readAtOnce) {
    const bytes = await logs.read(log, from, Math.min(size, from + readAtOnce));
    if (response.write(bytes)) continue;
    await once(response, 'drain', { signal: gone.signal }).catch(() => {});
  }
  response.end();
}
