import { describe, expect, it } from '@jest/globals';
import type { PullRequestTrigger, Trigger } from '#src/model/event.ts';
import {
  decideTrust,
  isHeld,
  isStrange,
  mayWrite,
  type Person,
  type Role,
  type Trust,
  type TrustFacts,
} from '#src/model/trust.ts';
import { repository, runOf, sha } from './samples.ts';

const base = { sha, ref: 'refs/heads/feature', actor: 'eve', title: 'A change' };
const branch: PullRequestTrigger = {
  ...base,
  kind: 'pull_request',
  number: 3,
  branch: 'feature',
  base: 'main',
  fork: false,
};
const fork: PullRequestTrigger = { ...branch, ref: 'refs/pull/3/head', fork: true };

const eve = (role: Role = 'read'): Person => ({ login: 'eve', bot: false, role });
const ada = (role: Role = 'write'): Person => ({ login: 'ada', bot: false, role });
const app: Person = { login: 'renovate[bot]', bot: true, role: 'none' };

function decide(change: Partial<TrustFacts>): Trust {
  return decideTrust({
    repository,
    trigger: branch,
    author: null,
    actor: null,
    association: null,
    approval: 'always',
    remarks: [],
    ...change,
  });
}

/** `trusted`, `needed`, or `none`: a stranger's that runs at once. */
function verdict(change: Partial<TrustFacts>): string {
  const { trusted, approval } = decide(change);
  if (!trusted) return approval;
  return approval === 'none' ? 'trusted' : 'nonsense';
}

const pushed: readonly Trigger[] = [
  { ...base, kind: 'push', branch: 'main' },
  { ...base, kind: 'push', branch: 'feature' },
  { ...base, kind: 'tag', tag: 'v1' },
  { ...base, kind: 'merge_group', base: 'main' },
  { ...base, kind: 'deploy', environment: 'production', branch: 'main', number: null, request: '1' },
];

describe('what takes write permission to cause is trusted, whoever is named', () => {
  it.each(
    pushed.flatMap((trigger) => (['always', 'first-time', 'never'] as const).map((rule) => [trigger, rule] as const)),
  )('%j under %s', (trigger, approval) => {
    expect(verdict({ trigger, approval, author: eve('none'), actor: eve('none') })).toBe('trusted');
  });
});

describe('a pull request from a branch of the repository', () => {
  it.each([
    // By the author's role, as GitHub reports it now.
    ['admin', 'trusted'],
    ['maintain', 'trusted'],
    ['write', 'trusted'],
    ['triage', 'needed'],
    ['read', 'needed'],
    ['none', 'needed'],
  ] as const)('by %s: %s', (role, expected) => {
    expect(verdict({ author: eve(role) })).toBe(expected);
    // Whoever pushes for them: the branch is the pull request's author's to answer for.
    expect(verdict({ author: eve(role), actor: ada('admin') })).toBe(expected);
  });

  it.each([
    ['an App: pushing there takes write permission', { author: app }, 'trusted'],
    ['nobody who is known', { author: null }, 'needed'],
    ['nobody who is known, pushed by an admin', { author: null, actor: ada('admin') }, 'needed'],
    ['a reader, and strangers run at once', { author: eve(), approval: 'never' }, 'none'],
    ['a reader whom GitHub calls owner', { author: eve(), association: 'OWNER' }, 'needed'],
    ['a writer whom GitHub calls nothing', { author: ada(), association: 'NONE' }, 'trusted'],
  ] as const)('by %s: %j -> %s', (_what, change, expected) => {
    expect(verdict(change)).toBe(expected);
  });
});

describe("a pull request from a fork is a stranger's always", () => {
  it.each([
    ['a reader', { author: eve(), actor: eve() }, 'needed'],
    ['a triager', { author: eve('triage'), actor: eve('triage') }, 'needed'],
    ['nobody who is known', {}, 'needed'],
    ['a writer, and nobody knows who pushed', { author: ada() }, 'needed'],
    ['a writer, but a stranger pushed', { author: ada(), actor: eve() }, 'needed'],
    ['a stranger, but a writer pushed', { author: eve(), actor: ada() }, 'needed'],
    ['a stranger, but an admin pushed', { author: eve(), actor: ada('admin') }, 'needed'],
    ['a writer who pushed', { author: ada(), actor: ada() }, 'none'],
    ['a maintainer, pushed by a writer', { author: eve('maintain'), actor: ada() }, 'none'],
    ['an admin who pushed', { author: ada('admin'), actor: ada('admin') }, 'none'],
    ['an App', { author: app, actor: app }, 'needed'],
    ['an App, pushed by a writer', { author: app, actor: ada() }, 'needed'],
    ['a reader, and strangers run at once', { author: eve(), actor: eve(), approval: 'never' }, 'none'],
    ['nobody who is known, and strangers run at once', { approval: 'never' }, 'none'],
    [
      'a writer, a stranger pushed, and strangers run at once',
      { author: ada(), actor: eve(), approval: 'never' },
      'none',
    ],
  ] as const)('by %s: %j -> %s', (_what, change, expected) => {
    expect(verdict({ ...change, trigger: fork })).toBe(expected);
  });
});

describe('where only newcomers wait (first-time)', () => {
  const own = { approval: 'first-time', author: eve(), actor: eve() } as const;

  it.each([
    ['OWNER', 'none'],
    ['MEMBER', 'none'],
    ['COLLABORATOR', 'none'],
    ['CONTRIBUTOR', 'none'],
    ['FIRST_TIME_CONTRIBUTOR', 'needed'],
    ['FIRST_TIMER', 'needed'],
    ['MANNEQUIN', 'needed'],
    ['NONE', 'needed'],
    ['contributor', 'needed'],
    ['SOMETHING_NEW', 'needed'],
    ['', 'needed'],
    [null, 'needed'],
  ])('GitHub calls the author %s: %s', (association, expected) => {
    expect(verdict({ ...own, trigger: fork, association })).toBe(expected);
    expect(verdict({ ...own, trigger: branch, association })).toBe(expected);
    // The rule is the operator's: without it, it counts for nothing.
    expect(verdict({ ...own, trigger: fork, association, approval: 'always' })).toBe('needed');
  });

  it.each([
    ['the author, in other letters', { login: 'EVE', bot: false, role: 'read' }, 'none'],
    ['a maintainer', ada(), 'none'],
    ['another stranger', { login: 'mallory', bot: false, role: 'read' }, 'needed'],
    ['nobody who is known', null, 'needed'],
  ] as const)('a known author, but pushed by %s: %j -> %s', (_what, actor, expected) => {
    expect(verdict({ ...own, actor, trigger: fork, association: 'CONTRIBUTOR' })).toBe(expected);
  });
});

describe('whatever is put together', () => {
  const roles = ['none', 'read', 'triage', 'write', 'maintain', 'admin'] as const;
  const people = (login: string) => [
    null,
    { login, bot: true, role: 'none' as const },
    ...roles.map((role) => ({ login, bot: false, role })),
  ];
  const associations = [null, 'OWNER', 'MEMBER', 'COLLABORATOR', 'CONTRIBUTOR', 'FIRST_TIMER', 'NONE', ''];
  const rules = ['always', 'first-time', 'never'] as const;
  const all = [branch, fork].flatMap((trigger) =>
    people('eve').flatMap((author) =>
      [...people('eve'), ...people('ada')].flatMap((actor) =>
        associations.flatMap((association) =>
          rules.map((approval) => ({ trigger, author, actor, association, approval })),
        ),
      ),
    ),
  );
  const writes = (person: Person | null): boolean => person !== null && mayWrite(person.role);

  it("a trusted pull request is an App's or a writer's, and of the repository itself", () => {
    expect(all).toHaveLength(6_144);
    const wrong = all.filter((facts) => {
      const { trusted } = decide(facts);
      return trusted !== (!facts.trigger.fork && (facts.author?.bot === true || writes(facts.author)));
    });
    expect(wrong).toEqual([]);
  });

  it("what runs without being trusted or approved is by the operator's rule, or by two with write permission", () => {
    const wrong = all.filter((facts) => {
      const { trusted, approval } = decide(facts);
      if (trusted || approval !== 'none') return false;
      return facts.approval === 'always' && !(writes(facts.author) && writes(facts.actor));
    });
    expect(wrong).toEqual([]);
  });

  it('no association makes anybody trusted, and under `always` it changes nothing', () => {
    const wrong = all.filter((facts) => {
      const [one, other] = [decide(facts), decide({ ...facts, association: 'NONE' })];
      return one.trusted !== other.trusted || (facts.approval === 'always' && one.approval !== other.approval);
    });
    expect(wrong).toEqual([]);
  });

  it('every reason is a sentence', () => {
    expect(all.filter((facts) => !/^[A-Z@].*\.$/.test(decide(facts).reason))).toEqual([]);
  });
});

it('the reason names who, which right is missing, and what GitHub says', () => {
  expect(decide({ author: eve() }).reason).toBe('@eve has no write permission on acme/shop (GitHub reports "read").');
  expect(decide({ trigger: fork, author: ada(), actor: eve() }).reason).toContain('@eve has no write permission');
  expect(decide({ trigger: fork, author: ada(), actor: ada() }).reason).toContain('@ada has write permission');
  expect(decide({ trigger: fork, author: ada() }).reason).toMatch(/^Who pushed to the fork isn't known/);
  for (const trigger of pushed) expect(decide({ trigger }).reason).toContain('takes write permission on acme/shop');
});

it('remarks are kept for those who approve', () => {
  expect(decide({ author: eve(), remarks: ['Look.'] }).remarks).toEqual(['Look.']);
});

it('a run is strange once that is decided, and before that if it comes from a fork', () => {
  const run = runOf(fork);
  expect(isStrange(run)).toBe(true);
  expect(isStrange(runOf(branch))).toBe(false);
  expect(isStrange({ ...runOf(branch), trust: decide({ author: eve() }) })).toBe(true);
  const approved: Trust = { ...decide({ author: eve() }), approval: 'given', approvedBy: 'ada' };
  expect(isStrange({ ...runOf(branch), trust: approved })).toBe(true);
  expect(isHeld({ state: 'pending', trust: approved })).toBe(false);
  expect(isHeld({ state: 'pending', trust: decide({ author: eve() }) })).toBe(true);
});

it.each([
  ['admin', true],
  ['maintain', true],
  ['write', true],
  ['triage', false],
  ['read', false],
  ['none', false],
] as const)('%s may write: %s', (role, expected) => {
  expect(mayWrite(role)).toBe(expected);
});
