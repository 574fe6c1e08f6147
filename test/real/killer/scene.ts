import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { GitHub } from '#dev/github/index.ts';
import type { Comment } from '#dev/github/world.ts';
import type { Kubernetes } from '#dev/kubernetes/index.ts';
import { busyboxImage } from '../docker.ts';
import { type Holds, openHolds } from './holds.ts';
import { type Ended, openQuay, type Quay, wrongEnds } from './quay.ts';
import { addWorkload, openHarbour } from './releases.ts';
import { openTown, type Repository, type Victim } from './town.ts';

/** A repository with environments of the same names as their workloads, all running what they ran before Slipway came. */
export interface Scene extends AsyncDisposable {
  readonly github: GitHub;
  readonly kubernetes: Kubernetes;
  readonly shop: Repository;
  /** Where other repositories describe a cluster: `api.yaml` with `spec.image`. */
  readonly live: Repository;
  readonly quay: Quay;
  readonly holds: Holds;
  readonly victim: Victim;
  /** Commits with this text in their image; resolves when it is built. */
  commit(version: string, branch?: string): Promise<string>;
  /** Writes a comment on the issue, the repository's first number. */
  readonly say: (login: string, body: string) => Comment;
  /** Lets the job `smoke` end, which waits for it. */
  openGate(): Promise<void>;
  /** Resolves when the comment was done what it says. */
  accepted(comment: Comment): Promise<void>;
  /** Waits until GitHub shows these ends, stops the server and answers with all that is wrong. */
  wrong(ends: readonly Ended[]): Promise<readonly string[]>;
}

/** `environments`: further keys of each. `more`: the end of the pipeline file. `files`: beside it and what is built. */
export async function openScene(
  environments: Readonly<Record<string, string>>,
  { more = '', files = {} }: { readonly more?: string; readonly files?: Readonly<Record<string, string>> } = {},
): Promise<Scene> {
  await using stack = new AsyncDisposableStack();
  const busybox = await busyboxImage();
  const holds = openHolds();
  const town = stack.use(await openTown({ permissions: { contents: 'write' } }));
  const { github } = town;
  const gate = join(town.folder, 'gate');
  await mkdir(gate);
  const shop = await town.repository('shop');
  const live = await town.repository('live');
  const { fullName } = shop;
  for (const login of ['bob', 'carol']) github.people.setRole(fullName, login, 'write');
  const allowed = `    jobs: { volumes: ["${gate}"] }
    gitops: [${live.fullName}]
    previews: { prefix: shop-pr }
`;
  const harbour = stack.use(await openHarbour(town.folder, fullName, { images: holds.images, allowed }));
  const { kubernetes } = harbour;
  // Of the environment `back` all old pods go before there is a new one: going back takes new pods as well.
  const restless = { strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '100%', maxSurge: 0 } } };
  for (const name of Object.keys(environments))
    addWorkload(harbour, name, { ...patient, ...(name === 'back' ? restless : {}) });
  const victim = await town.victim({ SLIPWAY_CATCH_UP: '2s', SLIPWAY_MAX_JOBS: '4', ...harbour.env });
  const quay = openQuay(github, kubernetes, fullName, () => victim.complaints());
  await victim.start();
  const issue = github.people.openIssue(fullName, 'Deployments', 'bob').number;
  const pipeline = pipelineOf(environments, `${harbour.host}/acme/shop`, busybox, gate) + more;
  const dockerfile = `FROM ${busybox}\nCOPY version /version\n`;
  await quay.until('the workloads', () => Object.keys(environments).every((it) => quay.isWhole(it)));
  const owned = stack.move();
  return {
    github,
    kubernetes,
    shop,
    live,
    quay,
    holds,
    victim,
    async commit(version, branch) {
      const sha = await shop.push({ ...files, 'slipway.yml': pipeline, Dockerfile: dockerfile, version }, branch);
      await quay.check(sha, 'image', 'success');
      return sha;
    },
    say: (login, body) => github.people.comment(fullName, issue, login, body),
    openGate: () => writeFile(join(gate, 'open'), ''),
    async accepted({ body, reactions }) {
      await quay.until(`"${body}" is done`, () => reactions.some((it) => it.content === 'rocket'));
    },
    async wrong(ends) {
      const missing = () => ends.filter((it) => !quay.isTold(it)).map((it) => it.environment);
      await quay.until(
        () => `the ends of ${missing().join(', ')}`,
        () => missing().length === 0,
      );
      await victim.stop();
      const found = await wrongEnds(github, victim.home, kubernetes, fullName, ends);
      const refused = github.violations.map((it) => `GitHub refuses: ${JSON.stringify(it)}`);
      return [...found, ...refused, ...(await town.left())];
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** What is held is never the cluster's to give up. */
const patient = { progressDeadlineSeconds: 12_000 };

function pipelineOf(
  environments: Readonly<Record<string, string>>,
  image: string,
  busybox: string,
  gate: string,
): string {
  const lines = Object.entries(environments).map(([name, more]) => {
    const rollout = `rollout: [{ deployment: shop/${name}, container: ${name}, image: image }]`;
    return `  ${name}: { timeout: 5m, stable: 0s, ${more === '' ? '' : `${more}, `}${rollout} }`;
  });
  return `jobs:
  image: { build: { image: ${image} } }
  smoke:
    image: ${busybox}
    if: false
    volumes: ["${gate}:/gate:ro"]
    run: until [ -e /gate/open ]; do sleep 0.1; done
environments:
${lines.join('\n')}
`;
}
