import { checkSuiteView, suiteFor } from './checks.ts';
import { changes, type CommitData, git, log, revision, show } from './git.ts';
import { announcePull, type Hub, takeHead } from './pulls.ts';
import type { Body, Pull, Repo, User } from './world.ts';

const NOTHING = '0'.repeat(40);
/** "Events will not be created for tags when more than three tags are pushed at once." */
const MOST_TAGS = 3;
const MOST_COMMITS = 2_048;

interface RefChange {
  readonly ref: string;
  /** Object ids; forty zeros where there was or is none. */
  readonly before: string;
  readonly after: string;
}

/** Sends what GitHub sends when refs have moved: push, create, delete, check suites, and pull requests' changes. */
export async function received(
  hub: Hub,
  repo: Repo,
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
  sender: User,
): Promise<void> {
  const moved = refChanges(before, after);
  const tags = moved.filter(({ ref }) => ref.startsWith('refs/tags/'));
  const branches = moved.filter(({ ref }) => ref.startsWith('refs/heads/'));
  if (moved.length > 0) repo.pushedAt = Date.now();
  for (const change of [...branches, ...(tags.length > MOST_TAGS ? [] : tags)]) {
    await announcePush(hub, repo, change, [...before.values()], sender);
  }
  for (const change of branches) {
    if (change.after !== NOTHING) requestSuites(hub, repo, change, sender);
    await movePulls(hub, repo, change, sender);
  }
  hub.world.changed();
}

function refChanges(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): RefChange[] {
  return [...new Set([...before.keys(), ...after.keys()])]
    .map((ref) => ({ ref, before: before.get(ref) ?? NOTHING, after: after.get(ref) ?? NOTHING }))
    .filter((change) => change.before !== change.after);
}

async function announcePush(
  { world, webhooks }: Hub,
  repo: Repo,
  change: RefChange,
  known: string[],
  sender: User,
): Promise<void> {
  const { ref, before, after } = change;
  const created = before === NOTHING;
  const deleted = after === NOTHING;
  const head = deleted ? null : await revision(repo.path, after);
  const range = head
    ? created
      ? [head, ...(known.length > 0 ? ['--not', ...known] : [])]
      : [`${before}..${head}`]
    : [];
  const commits = head ? (await revisions(repo, range)).toReversed() : [];
  const [headCommit] = head ? await log(repo.path, [head], 1) : [];
  const forced = !created && !deleted && !(await isAncestor(repo, before, after));
  webhooks.repository(repo, 'push', null, sender, {
    ref,
    // An annotated tag's object, not its commit.
    before,
    after,
    created,
    deleted,
    forced,
    base_ref: created && head ? await branchAt(repo, head, ref) : null,
    compare: `${world.url}/${repo.fullName}/compare/${before.slice(0, 12)}...${after.slice(0, 12)}`,
    commits: await Promise.all(commits.map((commit) => pushedCommit(world.url, repo, commit))),
    head_commit: headCommit ? await pushedCommit(world.url, repo, headCommit) : null,
    pusher: { name: sender.login, email: `${sender.login}@users.noreply.github.com` },
  });
  if (!created && !deleted) return;
  const tag = ref.startsWith('refs/tags/');
  const name = ref.replace(/^refs\/(heads|tags)\//, '');
  webhooks.repository(repo, created ? 'create' : 'delete', null, sender, {
    ref: name,
    ref_type: tag ? 'tag' : 'branch',
    pusher_type: 'user',
    ...(created && { master_branch: repo.defaultBranch, description: null }),
  });
}

async function revisions(repo: Repo, range: readonly string[]): Promise<CommitData[]> {
  const shas = await git(repo.path, 'rev-list', `--max-count=${MOST_COMMITS}`, ...range);
  return show(repo.path, shas.split('\n').filter(Boolean));
}

async function pushedCommit(url: string, repo: Repo, commit: CommitData): Promise<Body> {
  const files = await changes(repo.path, commit.parents[0] ?? null, commit.sha);
  const paths = (status: string): string[] => files.filter((file) => file.status === status).map(({ path }) => path);
  const person = ({ name, email, date }: CommitData['author']): Body => ({ name, email, date });
  return {
    id: commit.sha,
    tree_id: commit.tree,
    distinct: true,
    message: commit.message,
    timestamp: commit.committer.date,
    url: `${url}/${repo.fullName}/commit/${commit.sha}`,
    author: person(commit.author),
    committer: person(commit.committer),
    added: paths('added'),
    removed: paths('removed'),
    modified: paths('modified'),
  };
}

async function branchAt(repo: Repo, sha: string, besides: string): Promise<string | null> {
  const found = await git(repo.path, 'for-each-ref', '--format=%(refname)', `--points-at=${sha}`, 'refs/heads');
  return found.split('\n').find((ref) => ref !== '' && ref !== besides) ?? null;
}

/** A push to a branch makes a check suite for every App that may write checks. */
function requestSuites({ world, webhooks }: Hub, repo: Repo, { ref, before, after }: RefChange, sender: User): void {
  for (const installation of world.installationsOf(repo)) {
    if (installation.app.permissions['checks'] !== 'write') continue;
    const suite = suiteFor(world, repo, installation.app, after, ref.replace('refs/heads/', ''));
    webhooks.repositoryOf(installation, repo, 'check_suite', 'requested', sender, {
      check_suite: { ...checkSuiteView(world, repo, suite), before },
    });
  }
}

/** Moves, merges and closes pull requests whose branches were pushed to, here and in the repositories they go to. */
async function movePulls(hub: Hub, repo: Repo, change: RefChange, sender: User): Promise<void> {
  const branch = change.ref.replace('refs/heads/', '');
  for (const base of hub.world.repos.values()) {
    for (const pull of base.pulls.values()) {
      if (pull.state !== 'open') continue;
      if (base.id === repo.id && pull.base.ref === branch && (await isAncestor(base, pull.head.sha, change.after))) {
        await closePull(hub, base, pull, sender, change.after);
      } else if (pull.head.repo.id === repo.id && pull.head.ref === branch) {
        await moveHead(hub, base, pull, change, sender);
      }
    }
  }
}

async function moveHead(hub: Hub, base: Repo, pull: Pull, { before, after }: RefChange, sender: User): Promise<void> {
  if (after === NOTHING) {
    await closePull(hub, base, pull, sender, null);
    return;
  }
  pull.head.sha = after;
  pull.updatedAt = Date.now();
  await takeHead(base, pull);
  await announcePull(hub, base, pull, 'synchronize', sender, { before, after });
}

/** Closes a pull request; `merged` is the commit on the base branch if it was merged. */
export async function closePull(hub: Hub, repo: Repo, pull: Pull, sender: User, merged: string | null): Promise<void> {
  pull.state = 'closed';
  pull.updatedAt = Date.now();
  if (merged) pull.merged = { at: Date.now(), by: sender, sha: merged };
  await announcePull(hub, repo, pull, 'closed', sender);
  hub.world.changed();
}

async function isAncestor(repo: Repo, older: string, newer: string): Promise<boolean> {
  return git(repo.path, 'merge-base', '--is-ancestor', older, newer).then(
    () => true,
    () => false,
  );
}
