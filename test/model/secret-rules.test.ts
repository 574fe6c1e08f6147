import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import '#test/seeded.ts';
import type { Trigger } from '#src/model/event.ts';
import {
  LONGEST_SECRET,
  type SecretInfo,
  type SecretScope,
  secretNameProblem,
  secretScope,
  secretValueProblem,
} from '#src/model/secret.ts';
import { chooseSecret, refusalWords } from '#src/model/secret-rules.ts';

const base = { sha: 'a'.repeat(40), ref: 'refs/heads/x', actor: 'ada', title: 't' };
const triggers = {
  main: { ...base, kind: 'push', branch: 'main' },
  feature: { ...base, kind: 'push', branch: 'feature/a' },
  v1: { ...base, kind: 'tag', tag: 'v1' },
  tagMain: { ...base, kind: 'tag', tag: 'main' },
  pull: { ...base, kind: 'pull_request', number: 7, branch: 'feature/a', base: 'main', fork: false },
  pullMain: { ...base, kind: 'pull_request', number: 7, branch: 'main', base: 'stable', fork: false },
  forkMain: { ...base, kind: 'pull_request', number: 8, branch: 'main', base: 'main', fork: true },
  queue: { ...base, kind: 'merge_group', base: 'main' },
  deployMain: { ...base, kind: 'deploy', environment: 'staging', branch: 'main', number: 7, request: '1' },
  deployFeature: { ...base, kind: 'deploy', environment: 'staging', branch: 'feature/a', number: 7, request: '1' },
} as const satisfies Record<string, Trigger>;
type TriggerName = keyof typeof triggers;

const scopes = {
  owner: { kind: 'owner', owner: 'acme' },
  repo: { kind: 'repository', repository: 'acme/shop' },
  staging: { kind: 'environment', repository: 'acme/shop', environment: 'staging' },
  production: { kind: 'environment', repository: 'acme/shop', environment: 'production' },
  otherRepo: { kind: 'repository', repository: 'acme/other' },
  otherOwner: { kind: 'owner', owner: 'evil' },
  otherStaging: { kind: 'environment', repository: 'acme/other', environment: 'staging' },
} as const satisfies Record<string, SecretScope>;
type Place = keyof typeof scopes;

/** `repo`, or `repo branches=main,release/* events=tag`. */
function secret(text: string): SecretInfo & { readonly text: string } {
  const [place = '', ...rest] = text.split(' ');
  const limit = (name: string) =>
    rest.flatMap((part) => (part.startsWith(`${name}=`) ? part.slice(name.length + 1).split(',') : []));
  const limits = { branches: limit('branches'), events: limit('events') };
  return { scope: scopes[place as Place], name: 'TOKEN', limits, setAt: 1, setBy: 'ada', text };
}

const repository = { owner: 'Acme', name: 'Shop' };

function chosen(stored: readonly string[], on: TriggerName, environment: string | null, name = 'TOKEN') {
  return chooseSecret(stored.map(secret), { repository, trigger: triggers[on], environment }, name);
}

describe('which secret a job gets', () => {
  // Stored, the event, the environment to which it deploys, and which is given: null for none.
  const cases: readonly (readonly [readonly string[], TriggerName, string | null, string | null])[] = [
    // Where it belongs.
    [[], 'main', null, null],
    [['owner'], 'main', null, 'owner'],
    [['repo'], 'main', null, 'repo'],
    [['owner', 'repo'], 'main', null, 'repo'],
    [['repo', 'owner'], 'main', null, 'repo'],
    [['owner', 'repo', 'staging'], 'main', 'staging', 'staging'],
    [['staging', 'repo', 'owner'], 'main', 'Staging', 'staging'],
    [['owner', 'staging'], 'main', 'staging', 'staging'],
    [['owner', 'repo', 'staging'], 'main', null, 'repo'],
    [['owner', 'repo', 'staging'], 'main', 'production', 'repo'],
    [['owner', 'staging'], 'main', 'production', 'owner'],
    [['staging', 'production'], 'main', 'production', 'production'],
    [['staging', 'production'], 'main', 'staging', 'staging'],
    [['staging'], 'main', null, null],
    [['staging'], 'main', 'production', null],
    [['staging'], 'main', '', null],
    [['staging'], 'main', 'staging2', null],
    [['otherRepo'], 'main', null, null],
    [['otherOwner'], 'main', null, null],
    [['otherStaging'], 'main', 'staging', null],
    [['otherRepo', 'otherOwner', 'otherStaging', 'owner'], 'main', 'staging', 'owner'],
    // Branches.
    [['repo branches=main'], 'main', null, 'repo branches=main'],
    [['repo branches=main'], 'feature', null, null],
    [['repo branches=Main'], 'main', null, null],
    [['repo branches=*'], 'main', null, 'repo branches=*'],
    [['repo branches=*'], 'feature', null, null],
    [['repo branches=**'], 'feature', null, 'repo branches=**'],
    [['repo branches=main,feature/*'], 'feature', null, 'repo branches=main,feature/*'],
    [['repo branches=feature'], 'feature', null, null],
    [['repo branches=feature/*'], 'pull', null, 'repo branches=feature/*'],
    [['repo branches=main'], 'pull', null, null],
    [['repo branches=main'], 'pullMain', null, 'repo branches=main'],
    [['repo branches=main'], 'forkMain', null, null],
    [['repo branches=**'], 'forkMain', null, null],
    [['repo branches=main events=pull_request'], 'forkMain', null, null],
    [['repo branches=main'], 'v1', null, null],
    [['repo branches=main'], 'tagMain', null, null],
    [['repo branches=**'], 'v1', null, null],
    [['repo branches=main'], 'queue', null, null],
    [['repo branches=main'], 'deployMain', 'staging', 'repo branches=main'],
    [['repo branches=main'], 'deployFeature', 'staging', null],
    // Events.
    [['repo events=push'], 'main', null, 'repo events=push'],
    [['repo events=push'], 'pull', null, null],
    [['repo events=push'], 'v1', null, null],
    [['repo events=tag'], 'v1', null, 'repo events=tag'],
    [['repo events=tag'], 'main', null, null],
    [['repo events=pull_request'], 'pull', null, 'repo events=pull_request'],
    [['repo events=pull_request'], 'forkMain', null, 'repo events=pull_request'],
    [['repo events=pull_request'], 'main', null, null],
    [['repo events=merge_group'], 'queue', null, 'repo events=merge_group'],
    [['repo events=deploy'], 'deployFeature', 'staging', 'repo events=deploy'],
    [['repo events=deploy'], 'main', 'staging', null],
    [['repo events=push,tag'], 'v1', null, 'repo events=push,tag'],
    // Both: an event without a branch fits if it is named.
    [['repo branches=main events=push,tag'], 'main', null, 'repo branches=main events=push,tag'],
    [['repo branches=main events=push,tag'], 'v1', null, 'repo branches=main events=push,tag'],
    [['repo branches=main events=push,tag'], 'feature', null, null],
    [['repo branches=main events=push,tag'], 'queue', null, null],
    [['repo branches=main events=merge_group'], 'queue', null, 'repo branches=main events=merge_group'],
    [['repo branches=main events=push'], 'v1', null, null],
    [['repo branches=main events=deploy'], 'deployFeature', 'staging', null],
    [['repo branches=main events=deploy'], 'deployMain', 'staging', 'repo branches=main events=deploy'],
    // A narrower one that is excluded isn't stood in for.
    [['owner', 'repo branches=release/*'], 'main', null, null],
    [['owner', 'repo events=tag'], 'main', null, null],
    [['repo', 'staging branches=release/*'], 'main', 'staging', null],
    [['repo', 'owner', 'staging events=deploy'], 'main', 'staging', null],
    [['repo', 'staging branches=release/*'], 'main', null, 'repo'],
    [['repo', 'production events=deploy'], 'main', 'staging', 'repo'],
    [['owner branches=release/*', 'repo'], 'main', null, 'repo'],
    [['owner branches=main', 'repo branches=main'], 'main', null, 'repo branches=main'],
  ];

  it.each(cases)('%j on %s, deploying to %s: %j', (stored, on, environment, expected) => {
    const choice = chosen(stored, on, environment);
    expect(choice.kind === 'given' ? choice.secret.text : null).toBe(expected);
  });

  it('compares names by the letter', () => {
    expect(chosen(['repo'], 'main', null, 'token').kind).toBe('refused');
  });

  it('is the same in whatever order they are stored, and never one of another repository', () => {
    const stored = fc.uniqueArray(
      fc.tuple(
        fc.constantFrom(...Object.keys(scopes)),
        fc.constantFrom('', ' branches=main', ' branches=**', ' events=push', ' branches=main events=tag,push'),
      ),
      { selector: ([place]) => place },
    );
    const on = fc.constantFrom(...(Object.keys(triggers) as TriggerName[]));
    const environment = fc.constantFrom(null, 'staging', 'production', 'none');
    fc.assert(
      fc.property(stored, on, environment, (parts, on, environment) => {
        const texts = parts.map(([place, limits]) => place + limits);
        const one = chosen(texts, on, environment);
        expect(chosen(texts.toReversed(), on, environment)).toEqual(one);
        expect(one.kind === 'given' ? one.secret.text : '').not.toMatch(/^other/);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('what people are told', () => {
  const reason = (...args: Parameters<typeof chosen>) => {
    const choice = chosen(...args);
    return choice.kind === 'refused' ? choice.reason : 'given';
  };

  it('names the command that sets what is missing', () => {
    expect(reason([], 'main', null, 'NPM_TOKEN')).toBe(
      'There is no secret NPM_TOKEN for Acme/Shop. The operator sets it on the server by: slipway secret set Acme/Shop NPM_TOKEN',
    );
  });

  it('suggests a name that was probably meant, but only one that may be had', () => {
    expect(reason(['repo'], 'main', null, 'TOKNE')).toContain('Did you mean TOKEN?');
    expect(reason(['owner'], 'main', null, 'token')).toContain('Did you mean TOKEN?');
    expect(reason(['otherRepo'], 'main', null, 'TOKNE')).not.toContain('mean');
    expect(reason(['staging'], 'main', null, 'TOKNE')).not.toContain('mean');
    expect(reason(['repo events=tag'], 'main', null, 'TOKNE')).not.toContain('mean');
  });

  it('names the limits, and what came instead', () => {
    expect(reason(['repo branches=main,release/*'], 'feature', null)).toMatch(
      /^The secret TOKEN of acme\/shop is limited to the branches main and release\/\*, and this is a push to the branch feature\/a\./,
    );
    expect(reason(['staging events=deploy'], 'v1', 'staging')).toMatch(
      /^The secret TOKEN of the environment staging of acme\/shop is limited to the event deploy, and this is the tag v1\. .*slipway secret set acme\/shop TOKEN --environment staging /,
    );
    expect(reason(['owner', 'repo branches=main'], 'forkMain', null)).toContain('the pull request #8 from a fork');
  });

  it('names the environments to which a secret belongs', () => {
    expect(reason(['staging', 'production'], 'main', null)).toMatch(
      /^The secret TOKEN belongs to the environments production and staging of Acme\/Shop, and this event \(a push to the branch main\) deploys to no environment\. .*slipway secret set Acme\/Shop TOKEN$/,
    );
    expect(reason(['staging'], 'main', 'production')).toContain('and this job is for production.');
  });

  it('says what a job adds to get the secret of an environment to which the run deploys', () => {
    const ask = { repository, trigger: triggers.v1, environment: null, deploysTo: ['Production'] };
    expect(chooseSecret([secret('production')], ask, 'TOKEN')).toEqual({
      kind: 'refused',
      reason:
        "The secret TOKEN belongs to the environment Production, which this job doesn't name: add `environment: Production` to the job.",
    });
    expect(chooseSecret([secret('staging')], ask, 'TOKEN')).toMatchObject({
      reason: expect.stringContaining('this event (the tag v1) deploys to Production only.'),
    });
  });

  it('names all that is missing in the first line, and the commands on lines of their own', () => {
    const ask = { repository, trigger: triggers.feature, environment: null };
    const told = (...names: readonly string[]) =>
      refusalWords(
        names.map((name) => [name, chooseSecret([secret('repo')], ask, name)] as const),
        'Acme/Shop',
      ).split('\n');
    expect(told('NOPE1', 'TOKEN', 'TOKNE')).toEqual([
      'No secret NOPE1, TOKNE (did you mean TOKEN?) for Acme/Shop.',
      'The operator sets them on the server by:',
      'slipway secret set Acme/Shop NOPE1',
      'slipway secret set Acme/Shop TOKNE',
    ]);
    expect(told('NOPE1')[0]).toMatch(/^There is no secret NOPE1 /);
    expect(told('TOKEN')).toEqual(['']);
  });

  it("never puts a stranger's words into a command", () => {
    for (const name of ['A;reboot', '$(reboot)', 'A\nB', '', '1A', 'SLIPWAY_TOKEN', 'slipway_x', 'a-b', 'Ä']) {
      expect(reason(['repo'], 'main', null, name)).toMatch(/^"[^\n]*": A secret's name .*\.$/);
    }
    const odd = { kind: 'environment', repository: 'acme/shop', environment: "x'; reboot #" } as const;
    const choice = chooseSecret(
      [{ scope: odd, name: 'TOKEN', limits: { branches: ['none'], events: [] }, setAt: 1, setBy: '' }],
      { repository, trigger: triggers.main, environment: "x'; reboot #" },
      'TOKEN',
    );
    expect(choice).toMatchObject({ reason: expect.stringContaining("--environment 'x'\\''; reboot #'") });
  });
});

describe('what can be set', () => {
  it.each([
    ['acme', null, { kind: 'owner', owner: 'acme' }],
    ['Acme/Shop.js', null, { kind: 'repository', repository: 'acme/shop.js' }],
    ['acme/shop', 'Production EU', { kind: 'environment', repository: 'acme/shop', environment: 'production eu' }],
    ['acme', 'production', null],
    ['acme/shop', ' ', null],
    ['acme/', null, null],
    ['/shop', null, null],
    ['', null, null],
    ['acme/shop/x', null, null],
    ['acme/..', null, null],
    ['acme/sh op', null, null],
    ['https://github.com/acme/shop', null, null],
  ])('%j, environment %j: %j', (place, environment, expected) => {
    expect(secretScope(place, environment)).toEqual(expected);
  });

  it.each(['A', '_a', 'NPM_TOKEN', 'a'.repeat(255)])('a name: %j', (name) =>
    expect(secretNameProblem(name)).toBeNull(),
  );

  it.each(['', '1A', 'A-B', 'A=secretvalue', 'A B', 'Ä', 'SLIPWAY_X', 'Slipway_x', 'a'.repeat(256)])(
    'no name: %j, and it is not repeated',
    (name) => {
      expect(secretNameProblem(name)).toMatch(/^A secret's name .*\.$/);
      expect(secretNameProblem(name)).not.toContain('secretvalue');
    },
  );

  it('a value from one to 64 KB in UTF-8, without byte 0', () => {
    for (const value of ['x', 'x'.repeat(LONGEST_SECRET), 'ä'.repeat(LONGEST_SECRET / 2), '\n']) {
      expect(secretValueProblem(value)).toBeNull();
    }
    for (const value of ['', 'x'.repeat(LONGEST_SECRET + 1), 'ä'.repeat(LONGEST_SECRET / 2 + 1), 'a\0b']) {
      expect(secretValueProblem(value)).not.toBeNull();
    }
  });
});
