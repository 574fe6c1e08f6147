import { describe, expect, it } from '@jest/globals';
import { UserError } from '#src/model/outcome.ts';
import {
  commentedAt,
  deploys,
  head,
  main,
  older,
  opened,
  options,
  pipeline,
  reactions,
  replies,
  say,
  world,
} from './commanding.ts';
import { ended } from './held.ts';
import { outcomes, repository } from './world.ts';

describe('/retry and /run', () => {
  it('run again what failed, with what waited for it', async () => {
    let broken = true;
    const s = await world({ script: () => (broken ? 1 : 0) });
    const { run } = await opened(s);
    broken = false;
    expect(await say(s, '/retry')).toContain('Starts over: lint');
    expect(outcomes(await ended(s, run.id))).toMatchObject({ lint: 'success' });
    expect(reactions(s)).toEqual(['eyes', 'rocket']);
    await say(s, '/retry');
    expect(replies(s).at(-1)).toBe('Nothing failed: there is nothing to retry.');
    await say(s, '/retry lint');
    expect(replies(s).at(-1)).toContain("`lint` didn't fail. To run it all the same: `/run lint`.");
    await say(s, '/run LINT');
    const again = await ended(s, run.id);
    expect(again.jobs.find(({ plan }) => plan.key === 'lint')?.attempt).toBe(3);
  });

  it.each([
    ['/retry lnit', /Did you mean `lint`/],
    ['/run deploy', /no job `deploy`/],
    ['/run never', /`never` doesn't run for this commit\. /],
  ])('%s is refused', async (body, reason) => {
    const file = pipeline.replace(
      '  image:',
      `  never: { image: node, run: x, if: "event.branch == 'main'" }\n  image:`,
    );
    const s = await world({ commits: { [main]: { 'slipway.yml': file }, [head]: { 'slipway.yml': file } } });
    await opened(s);
    await say(s, body);
    expect(replies(s).at(-1)).toMatch(reason);
  });

  it('are about the head that was meant', async () => {
    const s = await world({ script: () => 1 });
    await opened(s, older);
    await opened(s, head, commentedAt + 5_000);
    await say(s, '/retry');
    expect(replies(s).at(-1)).toMatch(/has moved.*comment `\/retry` again/);
  });

  it('deploy nothing for who may not deploy there', async () => {
    const base = options();
    const s = await world({ cluster: { ...base.cluster!, refuse: () => new UserError('Not now.') } });
    await opened(s);
    const { run } = await deploys(s, '/deploy vault', { actor: 'rob' });
    expect(run.outcome?.kind).toBe('failure');
    await say(s, '/retry');
    expect(replies(s).at(-1)).toContain('@ada may not deploy');
    expect(await s.engine.intake({ kind: 'rerun', repository, sha: head, actor: 'ada', externalId: null })).toContain(
      '@ada may not deploy',
    );
  });
});
