import { describe, expect, it } from '@jest/globals';
import { PlatformError } from '#src/model/outcome.ts';
import { ended } from './held.ts';
import {
  a1,
  arrives,
  lastComment,
  lastReaction,
  main,
  ofFork,
  pipeline,
  press,
  pull,
  say,
  staysHeld,
  world,
} from './strange.ts';
import { outcomes } from './world.ts';

describe('/ok-to-test', () => {
  it.each([
    ['a reader', 'bob', `/ok-to-test ${a1}`, /@bob may not approve: .*"none"/],
    ['a triager', 'tim', `/ok-to-test ${a1}`, /@tim may not approve: .*"triage"/],
    ['the author', 'eve', `/ok-to-test ${a1}`, /@eve opened this pull request/],
    ['the author, in other letters', 'EVE', `/ok-to-test ${a1}`, /opened this pull request/],
    ['who names no commit', 'ada', '/ok-to-test', new RegExp(`head .* is ${a1} now.*/ok-to-test ${a1}`)],
    ['who names another commit', 'ada', `/ok-to-test ${main}`, new RegExp(`What waits is ${a1}`)],
    ['who adds a word', 'ada', `/ok-to-test ${a1} now`, /nothing else/],
    ['who names a branch', 'ada', '/ok-to-test feature', /takes the SHA/],
    ['who names too little', 'ada', `/ok-to-test ${a1.slice(0, 6)}`, /at least its first 7 digits/],
  ] as const)('by %s (%s) is refused with the reason: %s', async (_what, actor, body, reason) => {
    const s = await world();
    const run = await arrives(s, a1);
    expect(await say(s, actor, body)).toMatch(/^Refused: /);
    expect(lastReaction(s)).toBe('confused');
    expect(lastComment(s)).toMatch(reason);
    await staysHeld(s, run.id);
  });

  it.each(['eve', 'tim'])('that was refused to %s is in the audit', async (actor) => {
    const s = await world();
    await arrives(s, a1);
    await say(s, actor, `/ok-to-test ${a1}`);
    expect(await s.store.audit.list(null, 5)).toMatchObject([
      { actor, action: 'ok-to-test command', subject: `#3 ${a1}`, decision: 'refused' },
    ]);
  });

  it.each([
    ['quoted', `> /ok-to-test ${a1}`],
    ['in a block of code', `\`\`\`\n/ok-to-test ${a1}\n\`\`\``],
    ['hidden', `<!--\n/ok-to-test ${a1}\n-->`],
  ])('%s is no command', async (_what, body) => {
    const s = await world();
    const run = await arrives(s, a1);
    expect(await say(s, 'ada', body)).toBe('The comment holds no command.');
    await staysHeld(s, run.id);
  });

  it('takes the beginning of one commit, and not of two', async () => {
    const twin = a1.slice(0, 10).padEnd(40, '9');
    const files = { 'slipway.yml': pipeline };
    const commits = { [main]: files, [a1]: files, [twin]: files };
    const s = await world({ commits, cancelSuperseded: false });
    const first = await arrives(s, a1);
    s.forge.setPullRequest(pull(twin));
    const second = await arrives(s, twin);
    await say(s, 'ada', `/ok-to-test ${a1.slice(0, 10)}`);
    expect(lastComment(s)).toContain('More than one commit begins with');
    await staysHeld(s, second.id);
    await staysHeld(s, first.id);
  });

  it('takes the first 7 digits', async () => {
    const s = await world();
    const run = await arrives(s, a1);
    await say(s, 'ada', `/ok-to-test ${a1.slice(0, 7).toUpperCase()}`);
    expect(outcomes(await ended(s, run.id))).toEqual({ test: 'success' });
  });

  it("lets nothing of another pull request go, though it is the same commit's", async () => {
    const s = await world();
    const other = await arrives(s, a1, { ...ofFork, number: 4, ref: 'refs/pull/4/head' });
    await say(s, 'ada', `/ok-to-test ${a1}`);
    expect(lastComment(s)).toMatch(/^Nothing of this pull request waits for approval\./);
    await staysHeld(s, other.id);
  });

  it('says who approved it before', async () => {
    const s = await world();
    const run = await arrives(s, a1);
    await say(s, 'ada', `/ok-to-test ${a1}`);
    await ended(s, run.id);
    await say(s, 'max', `/ok-to-test ${a1}`);
    expect(lastComment(s)).toBe(`@ada has approved ${a1} already.`);
    expect(s.executor.requests).toHaveLength(1);
  });

  it('waits for what GitHub can not tell', async () => {
    const s = await world();
    const run = await arrives(s, a1);
    s.forge.failure = new PlatformError('GitHub is down.');
    await expect(say(s, 'ada', `/ok-to-test ${a1}`)).rejects.toThrow('GitHub is down.');
    await expect(press(s, 'ada', run)).rejects.toThrow('GitHub is down.');
    await staysHeld(s, run.id);
  });
});
