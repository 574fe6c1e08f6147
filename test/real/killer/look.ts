import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openStore } from '#src/adapters/store/store.ts';
import type { Job, RunView } from '#src/model/run.ts';
import type { Victim } from './town.ts';

/** Asks until the answer isn't null, undefined or false; rejects with `what` and the server's complaints after `ms`. */
export async function until<T>(
  what: string,
  victim: Victim,
  look: () => Promise<T | null | undefined | false>,
  ms = 30_000,
): Promise<T> {
  for (const end = performance.now() + ms; ; await sleep(50)) {
    const found = await look();
    if (found !== null && found !== undefined && found !== false) return found;
    if (performance.now() > end) {
      throw new Error(`Waited ${ms / 1000} s in vain for ${what}.\n${victim.complaints().slice(-20).join('\n')}`);
    }
  }
}

/** Everything that jobs have logged so far. */
async function logsOf(victim: Victim): Promise<string> {
  const folder = join(victim.home, 'logs');
  const names = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = names.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return (await Promise.all(files.map((file) => readFile(file, 'utf8').catch(() => '')))).join('');
}

/** How often this line stands in the jobs' logs. */
export async function printed(victim: Victim, line: string): Promise<number> {
  return (await logsOf(victim)).split('\n').filter((each) => each === line).length;
}

/** What /readyz answers. */
export async function readyz(
  url: string,
): Promise<{ readonly status: number; readonly checks: Record<string, string> }> {
  const response = await fetch(`${url}/readyz`);
  const { checks } = (await response.json()) as { checks: Record<string, string> };
  return { status: response.status, checks };
}

/** Every run as it is stored, by its commit. The server must be stopped. */
export async function stored(victim: Victim): Promise<ReadonlyMap<string, RunView>> {
  const store = await openStore({ path: join(victim.home, 'slipway.db'), clock: { now: Date.now } });
  try {
    const views = new Map<string, RunView>();
    for (const { id, trigger } of await store.runs.list({ limit: 1000 })) {
      const view = await store.runs.view(id);
      if (view) views.set(trigger.sha, view);
    }
    return views;
  } finally {
    await store.close();
  }
}

export function jobOf(view: RunView | undefined, key: string): Job {
  const job = view?.jobs.find((each) => each.plan.key === key);
  if (!job) throw new Error(`There is no job ${key}.`);
  return job;
}
