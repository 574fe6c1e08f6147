import { expect, it } from '@jest/globals';
import { busyboxImage } from './docker.ts';
import { type Expected, mistakes, settled } from './killer/judge.ts';
import { reached } from './killer/reached.ts';
import { addWorkload, openHarbour, type Release, releaseMistakes, toldReleases } from './killer/releases.ts';
import { openTown } from './killer/town.ts';

/**
 * Releases, and where the server is killed on the way of each, again and again: in the order in which they are met. Second
 * names: see killer/server.ts.
 */
const chains: readonly { readonly name: string; readonly ends: Release['ends']; readonly points: readonly string[] }[] =
  [
    {
      name: 'image',
      ends: 'success',
      points: [
        'before runs.progress/image.build.running',
        'after runs.progress/image.push.running',
        'before runs.progress/image.push.completed',
        'before images.record',
        'after images.record',
        'before runs.complete/image',
        'after runs.complete/image',
      ],
    },
    {
      name: 'rollout',
      ends: 'success',
      points: [
        'before deployments.save/opened',
        'after deployments.save/opened',
        'before audit.append',
        'after audit.append',
        'before deployments.save/planned',
        'after deployments.save/planned',
        'before deployments.save/forward',
        'after deployments.save/forward',
        'before deployments.save/forward.set',
        'after deployments.save/forward.set',
        'after runs.progress/deploy.progress',
        'before deployments.save/done',
        'after deployments.save/done',
        'before deployments.save/success',
        'after deployments.save/success',
        'before deployments.supersede',
        'after deployments.supersede',
        'before runs.complete/deploy',
        'after runs.complete/deploy',
        'before runs.finish',
        'after runs.finish',
      ],
    },
    {
      name: 'told',
      ends: 'success',
      points: [
        'before told.set/deployment.creating',
        'after told.set/deployment.creating',
        'before told.set/deployment.created',
        'before told.set/deployment.success',
        'after told.set/deployment.success',
      ],
    },
    {
      name: 'crash',
      ends: 'failure',
      points: [
        'before deployments.save/failed',
        'after deployments.save/failed',
        'before deployments.save/back',
        'after deployments.save/back',
        'before deployments.save/back.set',
        'after deployments.save/back.set',
        'before deployments.save/ended',
        'after deployments.save/ended',
        'before deployments.save/failure',
        'after deployments.save/failure',
      ],
    },
  ];

function pipeline(image: string): string {
  const environments = chains.map(
    ({ name }) =>
      `  ${name}: { on: { tag: ${name} }, timeout: 60s, stable: 0s, rollout: [{ deployment: shop/${name}, container: ${name}, image: image }] }`,
  );
  return `jobs:
  image: { if: event.kind == 'tag', build: { image: ${image} } }
environments:
${environments.join('\n')}
`;
}

it('goes on from before and after each transition of a release', async () => {
  const base = await busyboxImage();
  await using town = await openTown();
  const repository = await town.repository('shop');
  await using harbour = await openHarbour(town.folder, repository.fullName);
  const victim = await town.victim({ SLIPWAY_CATCH_UP: '2s', SLIPWAY_MAX_JOBS: '4', ...harbour.env });
  await repository.push({ 'slipway.yml': pipeline(`${harbour.host}/acme/good`) });

  const expected: Expected[] = [];
  const releases: Release[] = [];
  const missed: string[] = [];
  const release = async (name: string, ends: Release['ends']): Promise<Expected> => {
    const sha = await repository.release(name, {
      'slipway.yml': pipeline(`${harbour.host}/acme/${ends === 'success' ? 'good' : 'crash'}`),
      Dockerfile: `FROM ${base}\nCOPY version /version\n`,
      version: name,
    });
    releases.push({ name, sha, ends });
    const jobs = {
      image: { conclusion: 'success', log: null },
      [`deploy ${name}`]: { conclusion: ends, log: null },
    };
    return { repository: repository.fullName, sha, jobs };
  };
  for (const { name, ends, points } of chains) {
    addWorkload(harbour, name);
    for (const [index, point] of points.entries()) {
      // What comes after the first is there at the start.
      await victim.start(index === 0 ? point : `${point} 1 start`);
      if (index === 0) expected.push(await release(name, ends));
      if (!(await reached(victim))) missed.push(point);
    }
  }
  await victim.start();
  const ended = async () => {
    await settled(town.github, expected, 60_000);
    await toldReleases(town.github, repository.fullName, releases, 60_000);
  };
  await ended().catch((error: unknown) => {
    throw new Error(`${String(error)}\n${victim.complaints().slice(-20).join('\n')}`);
  });
  await victim.stop();
  expect(missed).toEqual([]);
  expect(await mistakes(town.github, { home: victim.home }, expected)).toEqual([]);
  expect(await releaseMistakes(town.github, victim, harbour, repository.fullName, releases)).toEqual([]);
  expect(await town.left()).toEqual([]);
}, 600_000);
