import { describe, expect, it } from '@jest/globals';
import { askAgainMs, decideDeploy } from '#src/model/deploy/decide.ts';
import {
  anybody,
  away,
  by,
  check,
  decide,
  factsWith,
  locked,
  minutesAgo,
  no,
  noon,
  office,
  one,
  protect,
  push,
  table,
  two,
} from './deploy-facts.ts';

table('a window', [
  ['is open', { windows: office.windows.map((it) => ({ ...it, from: 720 })) }, 'enter', 'go'],
  [
    'is shut, and somebody asks',
    { ...office },
    'ask',
    'refuse: production takes deployments Mon-Fri 13:00-17:00 (UTC) only; the next window opens Mon 2026-11-23, 13:00 (UTC). Ask again then.',
  ],
  ['is shut, and somebody asked', { ...office }, 'begin', /^refuse: production takes deployments/],
  [
    'is shut, of a push',
    { ...push, ...office },
    'enter',
    'wait window 3600s: Waits for a window: production takes deployments Mon-Fri 13:00-17:00 (UTC) only. The next opens Mon 2026-11-23, 13:00 (UTC).',
  ],
  ['is shut at the begin', { ...push, ...office }, 'begin', /^wait window 3600s/],
  ['opens within a millisecond', { ...push, ...office, now: noon + 3_599_999 }, 'enter', /^wait window 0\.001s/],
  ['is open to the millisecond', { ...push, ...office, now: noon + 3_600_000 }, 'enter', 'go'],
  ['is shut to the millisecond', { ...push, ...office, now: noon + 5 * 3_600_000 }, 'enter', /^wait window/],
  ['of two is open', { windows: [...office.windows, { days: [1], from: 0, until: 1440, zone: 'UTC' }] }, 'enter', 'go'],
  [
    'never opens',
    { ...push, windows: [{ days: [], from: 0, until: 60, zone: 'UTC' }] },
    'enter',
    /^refuse: .* and that never comes/,
  ],
  [
    'has a zone that nobody knows',
    { ...push, windows: [{ days: [1], from: 0, until: 1440, zone: 'Mars/Olympus' }] },
    'enter',
    /^refuse: .*never comes/,
  ],
  ['isn’t asked for by a rollback', { mode: 'rollback', ...office }, 'begin', 'go'],
  ['is asked for by a promotion', { mode: 'promote', ...office }, 'begin', /^refuse/],
]);

table('an approval', [
  [
    'is missing',
    one,
    'enter',
    'wait approval 300s: Waits for an approval by people with write permission, but not @ada. To approve: /approve production.',
  ],
  ['is missing at the begin', one, 'begin', /^wait approval/],
  ['needn’t be there when it is asked for', one, 'ask', 'go'],
  ['is there', { ...one, said: by('bob') }, 'enter', 'go'],
  ['is there at the begin', { ...one, said: by('bob') }, 'begin', 'go'],
  ['of who asked doesn’t count', { ...one, said: by('ada') }, 'begin', /^wait approval/],
  ['of who asked doesn’t count, in other letters', { ...one, said: by('ADA') }, 'begin', /^wait approval/],
  ['of who pushed doesn’t count', { ...push, ...one, said: by('ada') }, 'begin', /^wait approval/],
  ['of the author doesn’t count', { ...one, authors: ['bob'], said: by('bob') }, 'begin', /but not @ada or @bob/],
  [
    'of the author doesn’t count, in other letters',
    { ...one, authors: ['Bob'], said: by('bOB') },
    'begin',
    /^wait approval/,
  ],
  [
    'of two is there',
    { ...two, said: by('bob') },
    'enter',
    'wait approval 300s: Waits for 2 approvals (1 so far, by @bob) by people with write permission, but not @ada. To approve: /approve production.',
  ],
  ['of one person counts once', { ...two, said: by('bob', 'BOB', 'bob') }, 'begin', /^wait approval .*1 so far/],
  ['of two people', { ...two, said: by('bob', 'carol') }, 'begin', 'go'],
  ['of three, where two are asked for', { ...two, said: by('bob', 'carol', 'dan') }, 'begin', 'go'],
  ['of the author and another', { ...two, authors: ['bob'], said: by('bob', 'carol') }, 'begin', /1 so far, by @carol/],
  ['came with a rejection', { ...one, said: [...by('bob'), no('carol')] }, 'begin', 'rejected: Rejected by @carol.'],
  ['came after a rejection', { ...one, said: [no('carol'), ...by('bob')] }, 'enter', 'rejected: Rejected by @carol.'],
  ['was refused by who asked', { ...one, said: [no('ada')] }, 'enter', 'rejected: Rejected by @ada.'],
  [
    'waits to know the authors',
    { ...one, authors: away, said: by('bob') },
    'begin',
    /^wait approval 20s: Waits to find out who made the change/,
  ],
  ['was refused before the authors are known', { ...one, authors: away, said: [no('bob')] }, 'begin', /^rejected/],
  ['isn’t asked for by a rollback', { mode: 'rollback', ...one }, 'begin', 'go'],
  [
    'of a rollback isn’t rejected by what was said before',
    { mode: 'rollback', ...one, said: [no('bob')] },
    'begin',
    'go',
  ],
  ['is asked for by a promotion', { mode: 'promote', ...one }, 'begin', /^wait approval/],
  ['is asked for with the operator’s own word', { operator: true, ...one }, 'begin', /^wait approval/],
  ['of nobody is less than one', { approval: { count: 0, by: anybody } }, 'begin', /^wait approval/],
]);

describe('of several things', () => {
  it('the refusal goes before what could be waited for', () => {
    const facts = { ...push, ...one, ...office, ...protect, checks: [check('failure')] };
    expect(decide(facts, 'enter')).toMatch(/^refuse: The check `test`/);
  });

  it('all that is waited for is said, the approval first', () => {
    const facts = { ...push, ...one, ...office, ...protect, checks: [check('pending')], ...locked({}) };
    const answer = decideDeploy(factsWith(facts), 'enter');
    expect(answer).toMatchObject({
      kind: 'wait',
      gate: { kind: 'approval', gate: 'start', needed: 1, given: [], pendingSince: noon },
      again: askAgainMs,
    });
    expect(answer.kind === 'wait' && answer.note).toMatch(
      /^Waits for an approval .*locked by @bob.*Waits for the check.*Waits for a window/,
    );
  });

  it('since when checks are waited for is kept', () => {
    const answer = decideDeploy(factsWith({ ...push, ...protect, pendingSince: minutesAgo(5) }), 'enter');
    expect(answer).toMatchObject({ gate: { kind: 'checks', pendingSince: minutesAgo(5) } });
  });

  it('a window says when it opens, for a clock', () => {
    const answer = decideDeploy(factsWith({ ...push, ...office }), 'enter');
    expect(answer).toMatchObject({ gate: { kind: 'window', until: noon + 3_600_000 }, again: 3_600_000 });
  });

  it('a rejection is told from what fails', () => {
    expect(decideDeploy(factsWith({ ...one, said: [no('bob')] }), 'enter')).toMatchObject({ rejected: true });
    expect(decideDeploy(factsWith({ strange: true }), 'enter')).toMatchObject({ rejected: false });
  });
});
