import type { Logs, Reporter } from '#src/engine/ports.ts';
import { repeat } from '#src/engine/repeat.ts';
import type { Store } from '#src/engine/store.ts';
import { harmless } from '#src/model/harmless.ts';
import type { Job } from '#src/model/run.ts';
import { jobLine, lineSplitter } from './display.ts';

/** Where the progress goes: standard output, or a test's. */
export interface Screen {
  write(text: string): void;
  /** Width if it is a terminal, otherwise null. */
  readonly columns: number | null;
}

const colours = [36, 33, 35, 34, 32, 31];
const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/**
 * Shows a run as it goes: each line of each job's log with the job's name before it, and on a terminal a line a
 * running job at the bottom. `flush` resolves when everything that was logged has been shown.
 */
export function terminalReporter(
  store: Store,
  logs: Logs,
  screen: Screen,
  now: () => number,
): Reporter & { close(): void } {
  const followed = new Map<string, Promise<void>>();
  const ended = new Set<string>();
  const abort = new AbortController();
  let jobs: readonly Job[] = [];
  let drawn = 0;
  let frame = 0;
  let shown = '';
  const refreshing = repeat(refresh);
  const timer = screen.columns === null ? null : setInterval(redraw, 100);
  timer?.unref();

  function print(lines: readonly string[]): void {
    if (screen.columns === null) {
      if (lines.length > 0) screen.write(`${lines.join('\n')}\n`);
      return;
    }
    const running = jobs
      .filter((job) => job.state === 'running')
      .map((job) => `${frames[frame % frames.length]} ${jobLine(job, now()).slice(2)}`);
    const up = drawn > 0 ? `\x1b[${drawn}A\x1b[J` : '';
    const text = [...lines, ...running.map((line) => cut(line, screen.columns ?? 80))];
    screen.write(up + (text.length > 0 ? `${text.join('\n')}\n` : ''));
    drawn = running.length;
  }

  function redraw(): void {
    frame += 1;
    if (drawn > 0 || jobs.some((job) => job.state === 'running')) print([]);
  }

  async function refresh(): Promise<void> {
    // What can't be read now is read with the next report.
    const view = await store.runs.view(shown).catch(() => null);
    if (view === null) return;
    jobs = view.jobs;
    const width = Math.max(0, ...jobs.map((job) => job.plan.key.length));
    for (const [index, job] of jobs.entries()) {
      const name = `${job.id}/${job.attempt}`;
      // Steps are stored once the log is open; before that there is nothing to follow.
      const logged = job.steps.length > 0 && job.state !== 'waiting' && job.state !== 'queued';
      if (logged && !followed.has(name)) followed.set(name, follow(job, prefix(job, index, width)));
      if (job.state === 'completed' && !ended.has(name)) {
        ended.add(name);
        void (followed.get(name) ?? Promise.resolve()).then(() =>
          print([prefix(job, index, width) + jobLine(job, now())]),
        );
      }
    }
  }

  function prefix(job: Job, index: number, width: number): string {
    const text = harmless(job.plan.key).padEnd(width);
    return screen.columns === null ? `${text} | ` : `\x1b[${colours[index % colours.length]}m${text} |\x1b[0m `;
  }

  async function follow(job: Job, before: string): Promise<void> {
    const split = lineSplitter();
    for await (const { bytes } of logs.follow({ jobId: job.id, attempt: job.attempt }, 0, abort.signal)) {
      print(split.push(bytes).map((line) => before + line));
    }
    const rest = split.rest();
    if (rest !== '') print([before + rest]);
  }

  return {
    report(runId) {
      shown = runId;
      refreshing.ask();
    },
    async flush(deadlineMs) {
      const all = async (): Promise<void> => {
        await refreshing.settled();
        await Promise.all(followed.values());
      };
      await Promise.race([all(), new Promise((resolve) => setTimeout(resolve, deadlineMs).unref())]);
      jobs = [];
      print([]);
    },
    close() {
      if (timer) clearInterval(timer);
      abort.abort();
    },
  };
}

/** At most `width` characters, counting what a terminal shows. */
function cut(line: string, width: number): string {
  const characters = Array.from(new Intl.Segmenter().segment(line), (each) => each.segment);
  return characters.length < width ? line : `${characters.slice(0, width - 2).join('')}…`;
}
