import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { expect, it } from '@jest/globals';
import type { CheckRun } from '#dev/github/world.ts';
import { busyboxImage } from './docker.ts';
import { openTown, type Town, type Victim } from './killer/town.ts';

const run = promisify(execFile);
const repository = 'acme/shop';
const patience = 60_000;

/** Mallory's fork of the repository, and its pull request. */
async function fork(town: Town) {
  const { people } = town.github;
  await people.forkRepository(repository, 'mallory');
  const folder = join(town.folder, 'mallory');
  await mkdir(folder);
  const person = ['-c', 'user.name=Mallory', '-c', 'user.email=mallory@example.com'];
  const git = async (...args: string[]): Promise<string> =>
    (await run('git', [...person, ...args], { cwd: folder })).stdout.trim();
  const remote = town.github.pushUrl('mallory/shop', 'mallory');
  await git('clone', '--quiet', remote, '.');
  await git('switch', '--quiet', '--create', 'evil');
  return async (file: string): Promise<string> => {
    await writeFile(join(folder, 'slipway.yml'), file);
    await git('commit', '--quiet', '--all', '--message', 'Harmless');
    await git('push', '--quiet', '--force', remote, 'evil');
    return git('rev-parse', 'HEAD');
  };
}

/** Waits until the check run `slipway` of the commit is as told. */
async function shown(town: Town, sha: string, conclusion: string): Promise<CheckRun> {
  return await town.github.waitFor(
    `the check run slipway of ${sha} as ${conclusion}`,
    () => town.github.checkRuns(repository, sha).find((it) => it.name === 'slipway' && it.conclusion === conclusion),
    patience,
  );
}

async function reacted(town: Town, commentId: number): Promise<string> {
  return await town.github.waitFor(
    'a reaction',
    () =>
      town.github
        .comments(repository, 1)
        .find(({ id }) => id === commentId)
        ?.reactions.findLast(({ content }) => content !== 'eyes')?.content,
    patience,
  );
}

function complaints(town: Town, victim: Victim): string {
  return [...town.github.violations.map((it) => JSON.stringify(it)), ...victim.complaints()].slice(-20).join('\n');
}

it(
  "a hostile fork's pull request runs nothing until a maintainer approves exactly its commit, whatever dies",
  async () => {
    const image = await busyboxImage();
    await using town = await openTown();
    const shop = await town.repository('shop');
    const file = (script: string) => `jobs:\n  test:\n    image: ${image}\n    run: ${script}\n`;
    const victim = await town.victim({ SLIPWAY_WARM: '0' });
    await victim.start();
    try {
      const { people } = town.github;
      const honest = await shop.push({ 'slipway.yml': file('echo honest') });
      await town.github.waitFor(
        'the first run',
        () => town.github.checkRuns(repository, honest).find((it) => it.conclusion === 'success'),
        patience,
      );
      while ((await town.left()).length > 0) await sleep(50);
      const push = await fork(town);
      const first = await push(file('echo stolen'));
      await people.openPullRequest(repository, { title: 'Harmless', head: 'mallory:evil', by: 'mallory' });

      const held = await shown(town, first, 'action_required');
      expect(held.title).toMatch(/^Waits for approval: @\u200Bmallory has no write permission on acme\/shop/);
      expect(held.summary).toContain("slipway.yml, which decides what runs, isn't the same as on main");
      expect(held.summary).toContain(`/ok-to-test ${first}`);

      // What a stranger can try: the command, the button, a re-run.
      const asked = people.comment(repository, 1, 'mallory', `/ok-to-test ${first}`);
      expect(await reacted(town, asked.id)).toBe('confused');
      people.pressButton(repository, held.id, 'approve', 'mallory');
      people.rerunCheckRun(repository, held.id, 'mallory');
      // What a maintainer may do without knowing: approve another commit.
      const wrong = people.comment(repository, 1, 'ada', `/ok-to-test ${honest}`);
      expect(await reacted(town, wrong.id)).toBe('confused');
      // No container, not even one that was started ahead.
      expect(await town.left()).toEqual([]);
      expect(town.github.checkRuns(repository, first).map(({ name }) => name)).toEqual(['slipway']);

      // The head moves while the maintainer looks at the first commit.
      const second = await push(file('echo stolen again'));
      await shown(town, second, 'action_required');
      const late = people.comment(repository, 1, 'ada', `/ok-to-test ${first}`);
      expect(await reacted(town, late.id)).toBe('confused');
      await town.github.waitFor(
        'the answer that names the new head',
        () => town.github.comments(repository, 1).at(-1)?.body.includes(`/ok-to-test ${second}`),
        patience,
      );

      // The server dies when it has stored the approval, and tells nobody.
      await victim.stop();
      await victim.start('after runs.approve');
      people.comment(repository, 1, 'ada', `/ok-to-test ${second}`);
      await victim.gone();
      await victim.start();
      const test = await town.github.waitFor(
        'the approved job',
        () => town.github.checkRuns(repository, second).find((it) => it.name === 'test' && it.conclusion !== null),
        patience,
      );
      expect(test.conclusion).toBe('success');
      const remarks = await shown(town, second, 'neutral');
      expect(remarks.annotations).toMatchObject([{ path: 'slipway.yml', title: 'changed-by-stranger' }]);
      expect(town.github.checkRuns(repository, first).map(({ name }) => name)).toEqual(['slipway']);

      // By the button, for the next commit; and never for the one after it.
      const third = await push(file('echo thanks'));
      const waiting = await shown(town, third, 'action_required');
      people.pressButton(repository, waiting.id, 'approve', 'ada');
      await town.github.waitFor(
        'the job behind the button',
        () => town.github.checkRuns(repository, third).find((it) => it.name === 'test' && it.conclusion === 'success'),
        patience,
      );
      const fourth = await push(file('echo once more'));
      await shown(town, fourth, 'action_required');
      expect(town.github.checkRuns(repository, fourth).map(({ name }) => name)).toEqual(['slipway']);
      expect(town.github.violations).toEqual([]);
    } catch (error) {
      throw new Error(`${String(error)}\n${complaints(town, victim)}`, { cause: error });
    }
    await victim.stop();
  },
  5 * 60_000,
);
