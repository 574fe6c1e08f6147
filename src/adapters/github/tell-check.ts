import { createHash } from 'node:crypto';
import type { ToldStore } from '#src/engine/store.ts';
import { faultOf } from './faults.ts';
import { at, isMissing, lookFor, type Place, type Sent, sentBefore, sentBy, settled, wasRefused } from './place.ts';
import type { CheckAnnotation, CheckRun } from './report/check-run.ts';

/** What GitHub knows of a check run, kept under a key of its own. */
interface ToldCheck {
  readonly id: number | null;
  /** A creation was sent and its answer may be lost. */
  readonly creating: boolean;
  /** It has come to its end. One that is shown as completed because somebody has to act hasn't. */
  readonly completed: boolean;
  /** Of the last content that arrived. */
  readonly hash: string;
  /** How many annotations arrived. */
  readonly annotations: number;
  /** Annotations were sent and the answer may be lost. */
  readonly adding: boolean;
  /** When it was sent of which the answer is missing; absent if every answer came. */
  readonly sent?: Sent;
}

const nothing: ToldCheck = { id: null, creating: false, completed: false, hash: '', annotations: 0, adding: false };

/** GitHub takes this many annotations a request; further requests append. */
const annotationsPerRequest = 50;

/**
 * Makes the check run on GitHub what it should be, whatever was told before and whatever was lost on the way; one that
 * was deleted there is made anew. `key` names it in the told store; `earlier` are the keys of the job's check runs before
 * it, oldest first: if the last of them never came to its end it is taken over, a completed one stays and a new one is
 * made. Throws Octokit's errors.
 */
export async function tellCheck(
  place: Place,
  key: string,
  earlier: readonly string[],
  wanted: CheckRun,
): Promise<void> {
  let told = await load(place, key);
  if (told.id === null) {
    const before = await Promise.all(earlier.map((each) => load(place, each)));
    const last = before.at(-1) ?? nothing;
    if (!told.creating && !last.completed && (last.id !== null || last.creating)) told = { ...last, hash: '' };
    if (told.id === null && told.creating) {
      const others = new Set(before.filter((it) => it.completed).map((it) => it.id));
      told = (await lookFor(place.teller, told.sent ?? null, () => find(place, wanted, others))) ?? nothing;
    }
  }
  try {
    await bring(place, key, told, wanted);
  } catch (error) {
    if (told.id === null || !isMissing(error)) throw error;
    // Somebody deleted it; or the repository is out of reach, and then it can't be made anew either.
    await bring(place, key, nothing, wanted, told);
  }
}

/** True if GitHub was ever told of this check run. */
export async function isTold(told: ToldStore, key: string): Promise<boolean> {
  return (await told.get(key)) !== null;
}

/** True if GitHub was told of this check run, but maybe not of its end. */
export async function isOpen(told: ToldStore, key: string): Promise<boolean> {
  const text = await told.get(key);
  return text !== null && !(JSON.parse(text) as ToldCheck).completed;
}

async function bring(place: Place, key: string, known: ToldCheck, wanted: CheckRun, otherwise = known): Promise<void> {
  const hash = hashOf(wanted);
  let told = known;
  if (told.id === null) told = await create(place, key, wanted, hash, otherwise);
  else if (told.adding) told = await recount(place, told, told.id);
  else if (told.sent) await settled(place.teller, told.sent);
  while (told.hash !== hash || told.annotations < wanted.annotations.length) {
    told = await update(place, key, told, wanted, hash);
  }
}

/** `otherwise` is what holds if GitHub refuses. */
async function create(
  place: Place,
  key: string,
  wanted: CheckRun,
  hash: string,
  otherwise: ToldCheck,
): Promise<ToldCheck> {
  const creating = { ...nothing, creating: true };
  await save(place, key, { ...creating, sent: sentBy(place.teller) });
  const first = wanted.annotations.slice(0, annotationsPerRequest);
  try {
    const { answer, dropped } = await unlessRefused(first, (annotations) =>
      place.client.rest.checks.create({
        ...at(place, 1),
        name: wanted.name,
        head_sha: place.sha,
        ...contentOf(wanted, annotations),
      }),
    );
    const completed = isOver(wanted);
    const count = dropped ? wanted.annotations.length : first.length;
    const told = { ...nothing, id: answer.data.id, completed, hash, annotations: count };
    await save(place, key, told);
    return told;
  } catch (error) {
    await save(
      place,
      key,
      wasRefused(place.teller, error) ? otherwise : { ...creating, sent: sentBefore(place.teller, error) },
    );
    throw error;
  }
}

async function update(place: Place, key: string, told: ToldCheck, wanted: CheckRun, hash: string): Promise<ToldCheck> {
  const next = wanted.annotations.slice(told.annotations, told.annotations + annotationsPerRequest);
  const adding = next.length > 0;
  if (adding) await save(place, key, { ...told, adding, sent: sentBy(place.teller) });
  try {
    const { dropped } = await unlessRefused(next, (annotations) =>
      place.client.rest.checks.update({
        ...at(place, wanted.status === 'in_progress' ? 2 : 1),
        check_run_id: told.id ?? 0,
        ...contentOf(wanted, annotations),
      }),
    );
    const completed = isOver(wanted);
    const annotations = dropped ? wanted.annotations.length : told.annotations + next.length;
    const now = { ...nothing, id: told.id, completed, hash, annotations };
    await save(place, key, now);
    return now;
  } catch (error) {
    // The next words are those of a new content: this one may or may not stand there.
    const unsure = { ...told, adding, hash: '', sent: sentBefore(place.teller, error) };
    await save(place, key, wasRefused(place.teller, error) ? told : unsure);
    throw error;
  }
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
    if (annotations.length === 0 || fault.kind !== 'permanent' || fault.status !== 422 || fault.gone) throw error;
    return { answer: await send([]), dropped: true };
  }
}

/**
 * The check run whose creation was sent but never answered, or null. Looked for by its external id alone: it may have been
 * made under another name. `others` are those of earlier attempts, which have the same.
 */
async function find(place: Place, wanted: CheckRun, others: ReadonlySet<number | null>): Promise<ToldCheck | null> {
  const perPage = 100;
  for (let page = 1; ; page += 1) {
    const list = await place.client.rest.checks.listForRef({
      ...at(place, 1),
      ref: place.sha,
      app_id: place.appId,
      filter: 'all',
      per_page: perPage,
      page,
    });
    const runs = list.data.check_runs;
    const found = runs.find((run) => run.external_id === wanted.externalId && !others.has(run.id));
    if (found) {
      const completed = isOver(found);
      return { ...nothing, id: found.id, completed, annotations: found.output.annotations_count };
    }
    if (runs.length < perPage) return null;
  }
}

/** How many annotations arrived, where the answer to the last ones was lost. */
async function recount(place: Place, told: ToldCheck, id: number): Promise<ToldCheck> {
  let count = told.annotations;
  await lookFor(place.teller, told.sent ?? null, async () => {
    const run = await place.client.rest.checks.get({ ...at(place, 1), check_run_id: id });
    count = run.data.output.annotations_count;
    return count > told.annotations ? count : null;
  });
  return { ...nothing, id, completed: told.completed, annotations: count };
}

function isOver({ status, conclusion }: { readonly status: string; readonly conclusion: string | null }): boolean {
  return status === 'completed' && conclusion !== 'action_required';
}

function contentOf(wanted: CheckRun, annotations: readonly CheckAnnotation[]): Record<string, unknown> {
  return {
    external_id: wanted.externalId,
    details_url: wanted.detailsUrl,
    status: wanted.status,
    ...(wanted.conclusion ? { conclusion: wanted.conclusion } : {}),
    ...(wanted.startedAt && wanted.status !== 'queued' ? { started_at: wanted.startedAt } : {}),
    ...(wanted.completedAt ? { completed_at: wanted.completedAt } : {}),
    // Buttons that aren't sent stay as they were.
    actions: wanted.actions,
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
