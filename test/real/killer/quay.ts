import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { GitHub } from '#dev/github/index.ts';
import type { CheckRun } from '#dev/github/world.ts';
import type { Kubernetes } from '#dev/kubernetes/index.ts';
import { openStore } from '#src/adapters/store/store.ts';
import { imageBefore } from './releases.ts';

/** What a test sees of a repository's deployments, in the cluster's namespace `shop` and on GitHub. */
export interface Quay {
  /** Looks again and again until the answer is true; throws after a minute, with what GitHub shows. */
  until(what: string | (() => string), look: () => boolean): Promise<void>;
  /** Waits until the newest check run of this name on the commit has the conclusion. */
  check(sha: string, name: string, conclusion: string): Promise<CheckRun>;
  /** The newest check run of this name on the commit. */
  find(sha: string, name: string): CheckRun | null;
  /** Its title, or ''. */
  title(sha: string, name: string): string;
  /** Number of pods of a Deployment, canaries not counted. */
  pods(deployment: string): number;
  /** The Deployment's own state. */
  workload(name: string): Seen | null;
  /** GitHub shows its deployments as they must have ended. */
  isTold(ended: Ended): boolean;
  /** All its pods are there and serve, and no others. */
  isWhole(name: string): boolean;
}

export interface Seen {
  readonly image: string;
  /** Changes of the template since it was made, and that. */
  readonly revision: number;
  readonly generation: number;
  readonly replicas: number;
  readonly available: number;
}

/** `complaints`: further lines for messages. */
export function openQuay(
  github: GitHub,
  kubernetes: Kubernetes,
  repository: string,
  complaints: () => readonly string[] = () => [],
): Quay {
  const find = (sha: string, name: string) => github.checkRuns(repository, sha).find((it) => it.name === name) ?? null;
  const pods = (name: string) => {
    const selects = (pod: string) => new RegExp(`^${name}-[0-9a-f]+-[0-9a-f]+$`).test(pod);
    return kubernetes.list('pods', 'shop').filter((it) => selects(it.metadata.name)).length;
  };
  const workload = (name: string): Seen | null => {
    const found = kubernetes.get('deployments', 'shop', name);
    if (found === null) return null;
    const { metadata, spec, status } = found;
    return {
      image: spec.template.spec.containers[0]?.image ?? '',
      revision: Number(metadata.annotations?.['deployment.kubernetes.io/revision'] ?? 0),
      generation: metadata.generation ?? 0,
      replicas: spec.replicas ?? 1,
      available: status?.availableReplicas ?? 0,
    };
  };
  async function until(what: string | (() => string), look: () => boolean): Promise<void> {
    const late = Date.now() + 150_000;
    while (!look()) {
      if (Date.now() > late) {
        throw new Error(
          `Waited in vain for ${typeof what === 'string' ? what : what()}.\n${[...story(github, repository), ...complaints().slice(-20)].join('\n')}`,
        );
      }
      await sleep(50);
    }
  }
  return {
    until,
    async check(sha, name, conclusion) {
      await until(`${name} on ${sha}: ${conclusion}`, () => find(sha, name)?.conclusion === conclusion);
      const found = find(sha, name);
      if (found === null) throw new Error('It is gone.');
      return found;
    },
    find,
    title: (sha, name) => find(sha, name)?.title ?? '',
    pods,
    workload,
    isTold({ environment, deployments }) {
      const states = shownOf(github, repository, environment).map((it) => it.state);
      return states.join() === deployments.map((it) => it.state).join();
    },
    isWhole(name) {
      const seen = workload(name);
      return seen !== null && seen.available === seen.replicas && pods(name) === seen.replicas;
    },
  };
}

/** How an environment must have ended; its workload is called as it is. */
export interface Ended {
  readonly environment: string;
  /** The commit whose image its workload runs, or `before`: what it ran at first; null: it has none. */
  readonly runs: string | null;
  /** How often the workload's template was changed. */
  readonly changes: number;
  /** Its deployments, oldest first: commit, how the check run ended, and GitHub's deployment. */
  readonly deployments: readonly {
    readonly sha: string;
    readonly conclusion: string;
    readonly state: string;
    /** What the store says of it, if something else. */
    readonly stored?: string;
  }[];
}

/** Actions in the audit log that say that a deployment was begun. */
const deploying = new Set(['deploy', 'rollback', 'preview']);
const ends = new Set(['success', 'failure', 'error']);

/** All that is wrong with how these ended: in the cluster, on GitHub, in the store and in the audit log. The server must be stopped. */
export async function wrongEnds(
  github: GitHub,
  home: string,
  kubernetes: Kubernetes,
  repository: string,
  expected: readonly Ended[],
): Promise<readonly string[]> {
  const quay = openQuay(github, kubernetes, repository);
  const store = await openStore({ path: join(home, 'slipway.db'), clock: { now: Date.now } });
  try {
    const audit = await store.audit.list(repository, 10_000);
    const { id } = github.world.repo(repository);
    const records = await store.deployments.list(id, null, 1000);
    const all = expected.map(async (one) => {
      const { environment, deployments, runs } = one;
      const built = runs === null ? null : await store.images.find(id, runs, 'image');
      const shown = shownOf(github, repository, environment);
      const stored = records.filter((it) => it.environment === environment).toReversed();
      const wanted = deployments.map((it) => `${it.sha.slice(0, 7)} ${it.state}`).join(', ');
      const kept = deployments.map((it) => `${it.sha.slice(0, 7)} ${it.stored ?? it.state}`).join(', ');
      const told = shown.map((it) => `${it.sha.slice(0, 7)} ${it.state}`).join(', ');
      const there = stored.map((it) => `${it.sha.slice(0, 7)} ${it.state}`).join(', ');
      const isPreview = environment.startsWith('preview/');
      const shas = deployments.map((it) => it.sha);
      const checks = checksOf(github, repository, isPreview ? 'preview' : `deploy ${environment}`, shas);
      const concluded = deployments.map((it) => `${it.sha.slice(0, 7)} completed ${it.conclusion}`).join(', ');
      const audited = audit.filter((it) => it.subject.startsWith(`${environment} `) && deploying.has(it.action));
      const found = [
        ...(told === wanted ? [] : [`GitHub's deployments are ${told || 'none'} instead of ${wanted}`]),
        ...(there === kept ? [] : [`the stored deployments are ${there || 'none'} instead of ${kept}`]),
        ...shown.filter((it) => it.ends !== 1).map((it) => `GitHub was told ${it.ends} ends: ${it.all}`),
        ...(checks === concluded ? [] : [`the check runs are ${checks || 'none'} instead of ${concluded}`]),
        ...(audited.length === deployments.length ? [] : [`${audited.length} audit records`]),
        ...inCluster(quay, one, built?.image ?? imageBefore),
      ];
      return found.map((it) => `${environment}: ${it}`);
    });
    return (await Promise.all(all)).flat();
  } finally {
    await store.close();
  }
}

/** What GitHub shows, for messages. */
function story(github: GitHub, repository: string): readonly string[] {
  const repo = github.world.repo(repository);
  const checks = [...repo.runs.values()].map((it) =>
    [it.headSha.slice(0, 7), it.name, it.status, it.conclusion, it.title].join(' | '),
  );
  const comments = [...repo.comments.values()].map((it) =>
    [it.user.login, it.body.slice(0, 300), it.reactions.map((each) => each.content).join()].join(' | '),
  );
  return [...checks, ...comments];
}

function shownOf(github: GitHub, repository: string, environment: string) {
  return github
    .deployments(repository)
    .filter((it) => it.environment === environment)
    .map(({ sha, statuses }) => ({
      sha,
      state: statuses.at(-1)?.state ?? 'nothing',
      ends: statuses.filter((it) => ends.has(it.state)).length,
      all: statuses.map((it) => it.state).join(', '),
    }));
}

function checksOf(github: GitHub, repository: string, name: string, shas: readonly string[]): string {
  return [...github.world.repo(repository).runs.values()]
    .filter((it) => it.name === name && shas.includes(it.headSha))
    .map((it) => `${it.headSha.slice(0, 7)} ${it.status} ${it.conclusion}`)
    .join(', ');
}

function inCluster(quay: Quay, { environment, runs, changes }: Ended, image: string): readonly string[] {
  const seen = quay.workload(environment);
  if (runs === null) return seen === null ? [] : ['there is a workload'];
  if (seen === null) return ['there is no workload'];
  const beside = ['slipway-canary', 'slipway-green'].filter((it) => quay.workload(`${environment}-${it}`) !== null);
  return [
    ...(seen.image === image ? [] : [`it runs ${seen.image} instead of ${image}`]),
    ...(seen.revision === changes + 1 ? [] : [`its template was changed ${seen.revision - 1} times`]),
    ...(seen.replicas === 2 ? [] : [`it has ${seen.replicas} replicas`]),
    ...(quay.isWhole(environment) ? [] : [`${seen.available} of ${quay.pods(environment)} pods are available`]),
    ...beside.map((it) => `${it} is there still`),
  ];
}
