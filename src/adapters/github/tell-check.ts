import { createHash } from 'node:crypto';
import type { ToldStore } from '#src/engine/store.ts';
import type { Repository } from '#src/model/repository.ts';
import { faultOf } from './faults.ts';
import type { Client, Urgency } from './github.ts';
import type { CheckAnnotation, CheckRun } from './report/check-run.ts';

/** What is needed to tell GitHub about one commit of one repository. */
export interface Place {
  readonly client: Client;
  readonly appId: number;
  readonly repository: Repository;
  readonly sha: string;
  readonly told: ToldStore;
}

/** What GitHub knows of a check run, kept under a key of its own. */
interface ToldCheck {
  readonly id: number | null;
  /** A creation was sent and its answer may be lost. */
  readonly creating: boolean;
  readonly completed: boolean;
  /** Of the last content that arrived. */
  readonly hash: string;
  /** How many annotations arrived. */
  readonly annotations: number;
  /** Annotations were sent and the answer may be lost. */
  readonly adding: boolean;
}

const nothing: ToldCheck = { id: null, creating: false, completed: false, hash: '', annotations: 0, adding: false };

/** GitHub takes this many annotations a request; further requests append. */
const annotationsPerRequest = 50;

/**
 * Makes the check run on GitHub what it should be, whatever was told before and whatever was lost on the way.
 * `key` names it in the told store; `before` is the key of the job's earlier attempt: a check run that never came to
 * its end is taken over, a completed one stays and a new one is made. Throws Octokit's errors.
 */
export async function tellCheck(place: Place, key: string, before: string | null, wanted: CheckRun): Promise<void> {
  let told = await load(place, key);
  const earlier = before === null ? nothing : await load(place, before);
  if (told.id === null && !told.creating && !earlier.completed && (earlier.id !== null || earlier.creating)) {
    told = { ...earlier, hash: '' };
  }
  if (told.id === null && told.creating) told = await find(place, wanted, earlier.completed ? earlier.id : null);
  if (told.id !== null && told.adding) told = await recount(place, told, told.id);

  const hash = hashOf(wanted);
  if (told.id === null) {
    await save(place, key, { ...told, creating: true });
    const first = wanted.annotations.slice(0, annotationsPerRequest);
    const { answer, dropped } = await unlessRefused(first, (annotations) =>
      place.client.rest.checks.create({
        ...at(place, 1),
        name: wanted.name,
        head_sha: place.sha,
        ...contentOf(wanted, annotations),
      }),
    );
    const completed = wanted.status === 'completed';
    const count = dropped ? wanted.annotations.length : first.length;
    told = { id: answer.data.id, creating: false, completed, hash, annotations: count, adding: false };
    await save(place, key, told);
  }
  while (told.hash !== hash || told.annotations < wanted.annotations.length) {
    told = await update(place, key, told, wanted, hash);
  }
}

/** True if GitHub was ever told of this check run. */
export async function isTold(told: ToldStore, key: string): Promise<boolean> {
  return (await told.get(key)) !== null;
}

async function update(place: Place, key: string, told: ToldCheck, wanted: CheckRun, hash: string): Promise<ToldCheck> {
  const next = wanted.annotations.slice(told.annotations, told.annotations + annotationsPerRequest);
  if (next.length > 0) await save(place, key, { ...told, adding: true });
  const { dropped } = await unlessRefused(next, (annotations) =>
    place.client.rest.checks.update({
      ...at(place, wanted.status === 'in_progress' ? 2 : 1),
      check_run_id: told.id ?? 0,
      ...contentOf(wanted, annotations),
    }),
  );
  const completed = wanted.status === 'completed';
  const count = dropped ? wanted.annotations.length : told.annotations + next.length;
  const now = { ...told, completed, hash, annotations: count, adding: false };
  await save(place, key, now);
  return now;
}

/**
 * Sends without annotations what GitHub refuses with them: one odd path in a tool's output may not keep a
 * job's end from being shown. `dropped` tells that it did.
 */
async function unlessRefused<T>(
  annotations: readonly CheckAnnotation[],
  send: (annotations: readonly CheckAnnotation[]) => Promise<T>,
): Promise<{ readonly answer: T; readonly dropped: boolean }> {
  try {
    return { answer: await send(annotations), dropped: false };
  } catch (error) {
    const fault = faultOf(error, Date.now());
    if (annotations.length === 0 || fault.kind !== 'permanent' || fault.status !== 422) throw error;
    return { answer: await send([]), dropped: true };
  }
}

/** Looks for a check run whose creation was sent but never answered. `other` is an earlier attempt's. */
async function find(place: Place, wanted: CheckRun, other: number | null): Promise<ToldCheck> {
  const { owner, name: repo } = place.repository;
  const list = await place.client.rest.checks.listForRef({
    owner,
    repo,
    ref: place.sha,
    check_name: wanted.name,
    app_id: place.appId,
    filter: 'all',
    per_page: 100,
  });
  const found = list.data.check_runs.find((run) => run.external_id === wanted.externalId && run.id !== other);
  if (!found) return nothing;
  const completed = found.status === 'completed';
  return { ...nothing, id: found.id, completed, annotations: found.output.annotations_count };
}

async function recount(place: Place, told: ToldCheck, id: number): Promise<ToldCheck> {
  const { owner, name: repo } = place.repository;
  const run = await place.client.rest.checks.get({ owner, repo, check_run_id: id });
  return { ...told, annotations: run.data.output.annotations_count, adding: false };
}

/** A creation goes in its turn; the end of a running log may wait for everything else. */
function at(
  place: Place,
  priority: 1 | 2,
): { owner: string; repo: string; request: Urgency & Record<string, unknown> } {
  return { owner: place.repository.owner, repo: place.repository.name, request: { priority } };
}

function contentOf(wanted: CheckRun, annotations: readonly CheckAnnotation[]): Record<string, unknown> {
  return {
    external_id: wanted.externalId,
    details_url: wanted.detailsUrl,
    status: wanted.status,
    ...(wanted.conclusion ? { conclusion: wanted.conclusion } : {}),
    ...(wanted.startedAt && wanted.status !== 'queued' ? { started_at: wanted.startedAt } : {}),
    ...(wanted.completedAt ? { completed_at: wanted.completedAt } : {}),
    ...(wanted.actions.length > 0 ? { actions: wanted.actions } : {}),
    output: {
      title: wanted.title,
      summary: wanted.summary,
      ...(wanted.text === null ? {} : { text: wanted.text }),
      ...(annotations.length > 0 ? { annotations } : {}),
    },
  };
}

function hashOf(wanted: CheckRun): string {
  return createHash('sha256')
    .update(JSON.stringify(contentOf(wanted, [])))
    .digest('base64');
}

async function load(place: Place, key: string): Promise<ToldCheck> {
  const text = await place.told.get(key);
  return text === null ? nothing : (JSON.parse(text) as ToldCheck);
}

async function save(place: Place, key: string, told: ToldCheck): Promise<void> {
  await place.told.set(key, JSON.stringify(told));
}
