import { createHash } from 'node:crypto';
import { at, isMissing, lookFor, type Place, type Sent, sentBefore, sentBy, settled, wasRefused } from './place.ts';
import { type DeployRow, deployComment, mergeRows } from './report/deploy-comment.ts';

/** What GitHub knows of a pull request's comment. */
interface ToldComment {
  readonly id: number | null;
  /** A creation was sent and its answer may be lost. */
  readonly creating: boolean;
  /** Of the last text that arrived. */
  readonly hash: string;
  readonly rows: readonly DeployRow[];
  /** When it was sent of which the answer is missing; absent if every answer came. */
  readonly sent?: Sent;
}

const nothing: ToldComment = { id: null, creating: false, hash: '', rows: [] };

const mark = '<!-- slipway deployments -->';

/** Works of the same key are done one after the other. */
export type InTurn = <T>(key: string, work: () => Promise<T>) => Promise<T>;

export function createInTurn(): InTurn {
  const last = new Map<string, Promise<unknown>>();
  return async (key, work) => {
    const mine = (last.get(key) ?? Promise.resolve()).then(work, work);
    last.set(key, mine);
    try {
      return await mine;
    } finally {
      if (last.get(key) === mine) last.delete(key);
    }
  };
}

/**
 * Brings the pull request's one comment on deployments up to date: made when there is first something to say, found again
 * if the answer to its creation was lost, edited only if something changed, made anew if somebody deleted it. `news` is
 * given what was told before, by job. Several runs tell of one pull request: they go one after the other. Throws Octokit's
 * errors.
 */
export async function tellComment(
  place: Place,
  inTurn: InTurn,
  number: number,
  news: (isKnown: (jobId: string) => boolean) => Promise<readonly DeployRow[]>,
): Promise<void> {
  const key = `comment/${place.repository.id}/${number}`;
  await inTurn(key, async () => {
    let told = await load(place, key);
    const rows = mergeRows(told.rows, await news((id) => told.rows.some(({ job }) => job === id)));
    if (rows.length === 0) return;
    const body = deployComment(rows, mark);
    if (told.id === null && told.creating) {
      const id = await lookFor(place.teller, told.sent ?? null, () => find(place, number));
      told = { ...nothing, id };
    }
    const wanted = { rows, hash: createHash('sha256').update(body).digest('base64') };
    if (told.id !== null && told.hash === wanted.hash) return;
    if (told.sent) await settled(place.teller, told.sent);
    try {
      if (told.id === null) await create(place, key, number, body, wanted, told);
      else await update(place, key, told, body, wanted);
    } catch (error) {
      if (told.id === null || !isMissing(error)) throw error;
      await create(place, key, number, body, wanted, told);
    }
  });
}

type Wanted = Pick<ToldComment, 'rows' | 'hash'>;

/** `otherwise` is what holds if GitHub refuses. */
async function create(
  place: Place,
  key: string,
  number: number,
  body: string,
  wanted: Wanted,
  otherwise: ToldComment,
): Promise<void> {
  const creating = { ...otherwise, id: null, creating: true, hash: '' };
  await save(place, key, { ...creating, sent: sentBy(place.teller) });
  try {
    const { data } = await place.client.rest.issues.createComment({ ...at(place, 2), issue_number: number, body });
    await save(place, key, { ...nothing, ...wanted, id: data.id });
  } catch (error) {
    const unsure = { ...creating, sent: sentBefore(place.teller, error) };
    await save(place, key, wasRefused(place.teller, error) ? otherwise : unsure);
    throw error;
  }
}

async function update(place: Place, key: string, told: ToldComment, body: string, wanted: Wanted): Promise<void> {
  try {
    await place.client.rest.issues.updateComment({ ...at(place, 2), comment_id: told.id ?? 0, body });
  } catch (error) {
    const unsure = { ...told, hash: '', sent: sentBefore(place.teller, error) };
    if (!wasRefused(place.teller, error)) await save(place, key, unsure);
    throw error;
  }
  await save(place, key, { ...nothing, ...wanted, id: told.id });
}

/** The App's comment with the mark, or null. Anybody can write the mark; only the App's own comment may be changed. */
async function find(place: Place, number: number): Promise<number | null> {
  const perPage = 100;
  for (let page = 1; ; page += 1) {
    const { data } = await place.client.rest.issues.listComments({
      ...at(place, 2),
      issue_number: number,
      per_page: perPage,
      page,
    });
    const found = data.find(
      ({ body, performed_via_github_app: app }) => app?.id === place.appId && body?.trimEnd().endsWith(mark),
    );
    if (found) return found.id;
    if (data.length < perPage) return null;
  }
}

async function load(place: Place, key: string): Promise<ToldComment> {
  const text = await place.told.get(key);
  return text === null ? nothing : (JSON.parse(text) as ToldComment);
}

async function save(place: Place, key: string, told: ToldComment): Promise<void> {
  await place.told.set(key, JSON.stringify(told));
}
