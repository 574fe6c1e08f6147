import { list, quoted, short, when } from './words.ts';

/** What a deployment that is over tells: a part of the engine's DeploymentRecord. */
export interface Past {
  readonly id: string;
  readonly sha: string;
  readonly state: 'queued' | 'in_progress' | 'success' | 'failure' | 'error' | 'inactive';
  readonly actor: string;
  readonly createdAt: number;
  readonly changes: readonly { readonly workload: string; readonly after: string }[];
  readonly details: {
    readonly images?: Readonly<Record<string, string>>;
    readonly tag?: string;
    readonly rolledBack?: boolean;
    readonly healthyAt?: number;
  };
}

/**
 * What a rollback restores. `history`: the environment's deployments, newest first. `to`: how many steps back, the beginning
 * of a commit, or a tag; null: the newest that was healthy, isn't what runs, and wasn't rolled back from. What is found
 * always was healthy, and its digests differ from those that run. After a deployment that failed, or while one is under way,
 * the last healthy one isn't sure to run, and is the first to go back to.
 */
export function rollbackTarget<T extends Past>(
  history: readonly T[],
  to: string | null,
): { readonly kind: 'found'; readonly record: T } | { readonly kind: 'none'; readonly message: string } {
  const { current, others } = versions(history);
  const none = (message: string): { readonly kind: 'none'; readonly message: string } => ({
    kind: 'none',
    message: `${message} ${whatThereIs(current, others)}`,
  });
  if (others.length === 0) return none('There is nothing to roll back to.');
  if (to === null) {
    const record = others.find((it) => it.details.rolledBack !== true);
    return record
      ? { kind: 'found', record }
      : none('All that ran here before was rolled back from. Name one to go to.');
  }
  if (/^\d{1,3}$/.test(to)) {
    const record = to === '0' ? undefined : others[Number(to) - 1];
    return record ? { kind: 'found', record } : none(`There are not ${to} steps to go back.`);
  }
  const found = named(current === null ? others : [current, ...others], to);
  if (found.length === 0) return none(`${quoted(to)} never was healthy here, as far as Slipway remembers.`);
  if (new Set(found.map((it) => it.sha)).size > 1 && !found.some((it) => it.details.tag === to)) {
    return none(`More than one commit begins with ${quoted(to)}.`);
  }
  const record = found.find((it) => it !== current);
  return record ? { kind: 'found', record } : none(`${quoted(to)} is what runs here now.`);
}

/** Tags go first: a tag may look like the beginning of a commit. */
function named<T extends Past>(records: readonly T[], to: string): readonly T[] {
  const tagged = records.filter((it) => it.details.tag === to);
  if (tagged.length > 0) return tagged;
  const sha = to.toLowerCase();
  return /^[0-9a-f]{4,64}$/.test(sha) ? records.filter((it) => it.sha.startsWith(sha)) : [];
}

/** What was healthy, each set of digests once, as it was last there: what runs now, if that is sure, and the others, newest first. */
function versions<T extends Past>(
  history: readonly T[],
): { readonly current: T | null; readonly others: readonly T[] } {
  const healthy = history
    .filter((it) => wasHealthy(it) && digestsOf(it) !== '')
    .map((record, index) => ({ record, index, at: record.details.healthyAt ?? record.createdAt }))
    .sort((a, b) => b.at - a.at || a.index - b.index)
    .map(({ record }) => record);
  const last = healthy.find((it) => it.state === 'success') ?? null;
  const current = last !== null && isSure(history[0], last) ? last : null;
  const seen = new Set(current === null ? [] : [digestsOf(current)]);
  const others: T[] = [];
  for (const record of healthy) {
    const digests = digestsOf(record);
    if (!seen.has(digests)) others.push(record);
    seen.add(digests);
  }
  return { current, others };
}

function wasHealthy({ state }: Past): boolean {
  return state === 'success' || state === 'inactive';
}

/** Whether the last healthy one runs, whatever the newest did. */
function isSure(newest: Past | undefined, last: Past): boolean {
  if (newest === undefined || wasHealthy(newest)) return true;
  if (newest.state === 'queued' || newest.state === 'in_progress') return false;
  // It failed before it touched anything, or with what runs anyway.
  return digestsOf(newest) === '' || digestsOf(newest) === digestsOf(last);
}

/** The images that it left, as one text to compare by; '' if none are known. */
function digestsOf({ changes, details }: Past): string {
  const rolled = changes.map((change) => change.after);
  const images = rolled.length > 0 ? rolled : Object.values(details.images ?? {});
  return [...new Set(images.filter((image) => image !== ''))].sort().join(' ');
}

const mostListed = 10;

function whatThereIs(current: Past | null, others: readonly Past[]): string {
  const runs = current === null ? '' : `What runs now is ${versionText(current)}.`;
  if (others.length === 0)
    return runs === '' ? 'Nothing was healthy here yet.' : `${runs} Nothing else was healthy here yet.`;
  const shown = others.slice(0, mostListed).map((it, index) => `${index + 1}: ${versionText(it)}`);
  const more = others.length > shown.length ? ` (and ${others.length - shown.length} older)` : '';
  return `${runs} There is ${list(shown)}${more}.`.trimStart();
}

function versionText({ sha, details, createdAt, actor }: Past): string {
  const tag = details.tag === undefined ? '' : ` ${quoted(details.tag)}`;
  const back = details.rolledBack === true ? ', rolled back from' : '';
  return `${short(sha)}${tag} by @${actor} on ${when(details.healthyAt ?? createdAt)}${back}`;
}
