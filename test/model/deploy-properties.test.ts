import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { countApprovals } from '#src/model/deploy/approvals.ts';
import { type DeployFacts, decideDeploy, type DeployStage, isAutomatic } from '#src/model/deploy/decide.ts';
import { type Held, lockInTheWay, unlocking } from '#src/model/deploy/locks.ts';
import { sameLogin } from '#src/model/trust.ts';
import { digest, noon, older, other, sha } from './deploy-facts.ts';
import '../seeded.ts';

const login = fc.constantFrom('ada', 'ADA', 'bob', 'Bob', 'carol', 'eve');
const role = fc.constantFrom('none', 'read', 'triage', 'write', 'maintain', 'admin');
const unknown = fc.record({ unknown: fc.constantFrom('GitHub is away.', '') });
const text = fc.oneof(fc.string(), fc.constantFrom('production', 'staging', ''));
const rule = fc.record({
  permission: fc.option(role, { nil: null }),
  people: fc.array(login, { maxLength: 2 }),
  teams: fc.array(fc.constantFrom('acme/sre', 'acme/dev'), { maxLength: 2 }),
});
const window = fc.record({
  days: fc.array(fc.integer({ min: 0, max: 6 }), { maxLength: 7 }),
  from: fc.integer({ min: 0, max: 1439 }),
  until: fc.integer({ min: 0, max: 1440 }),
  zone: fc.constantFrom('UTC', 'Europe/Berlin', 'Nowhere/Land'),
});
const images = fc.dictionary(fc.constantFrom('api', 'web'), fc.constantFrom(digest, older, 'r/api:v1', ''));
const checkState = fc.constantFrom('pending', 'success', 'failure', 'neutral', 'skipped', 'unknown');
const lock = fc.record({
  environment: fc.constantFrom('', 'production', 'Production', 'staging'),
  owner: login,
  reason: fc.string(),
  at: fc.oneof(fc.integer(), fc.constant(Number.NaN)),
});
const there = fc.record({
  sha: fc.constantFrom(sha, other),
  tag: fc.option(text, { nil: null }),
  images,
  trouble: fc.oneof(fc.constant(null), fc.constant('It is ill.'), unknown),
});
const said = fc.array(fc.record({ login, decision: fc.constantFrom('approve', 'reject') }), { maxLength: 4 });

const facts: fc.Arbitrary<DeployFacts> = fc.record({
  now: fc.integer({ min: noon - 1e10, max: noon + 1e10 }),
  environment: fc.constantFrom('production', 'Staging'),
  mode: fc.constantFrom('deploy', 'rollback', 'promote', 'preview'),
  via: fc.constantFrom('push', 'tag', 'release', 'command', 'button', 'api'),
  sha: fc.constant(sha),
  strange: fc.boolean(),
  actor: login,
  operator: fc.boolean(),
  person: fc.oneof(unknown, fc.record({ login, role, teams: fc.array(fc.constantFrom('acme/sre'), { maxLength: 1 }) })),
  people: fc.record({ environment: fc.option(rule, { nil: null }), operator: fc.option(rule, { nil: null }) }),
  refusals: fc.array(fc.constant('The operator says no.'), { maxLength: 1 }),
  tag: fc.option(
    fc.record({
      name: text,
      now: fc.oneof(unknown, fc.constantFrom(sha, other, null)),
      before: fc.constantFrom(other, null),
    }),
    { nil: null },
  ),
  jobs: fc.uniqueArray(fc.constantFrom('api', 'web'), { maxLength: 2 }),
  images,
  protect: fc.array(fc.constantFrom('test', 'lint', '__proto__'), { maxLength: 2 }),
  checks: fc.oneof(
    unknown,
    fc.array(fc.record({ name: fc.constantFrom('test', 'lint'), by: text, state: checkState }), { maxLength: 3 }),
  ),
  told: fc.array(fc.constantFrom('test', 'lint'), { maxLength: 2 }),
  pendingSince: fc.option(fc.integer({ min: noon - 1e10, max: noon + 1e10 }), { nil: null }),
  windows: fc.array(window, { maxLength: 2 }),
  approval: fc.option(fc.record({ count: fc.integer({ min: -1, max: 3 }), by: rule }), { nil: null }),
  said,
  authors: fc.oneof(unknown, fc.array(login, { maxLength: 2 })),
  order: fc.array(
    fc.oneof(
      fc.record({ environment: text, unknown: fc.constant('The store is away.') }),
      fc.record({ environment: text, coming: fc.boolean(), there: fc.option(there, { nil: null }) }),
    ),
    { maxLength: 2 },
  ),
  locks: fc.array(lock, { maxLength: 2 }),
  overLock: fc.boolean(),
});
/** Facts that nearly always let it go, so that what keeps it is seen alone. */
const calm: fc.Arbitrary<DeployFacts> = facts.map((it) => ({
  ...it,
  strange: false,
  operator: true,
  refusals: [],
  tag: null,
  jobs: ['api'],
  images: { api: digest },
  protect: [],
  windows: [],
  order: [],
}));
const stage: fc.Arbitrary<DeployStage> = fc.constantFrom('ask', 'enter', 'begin');
const job: fc.Arbitrary<'enter' | 'begin'> = fc.constantFrom('enter', 'begin');

function goes(given: DeployFacts, at: DeployStage): boolean {
  return decideDeploy(given, at).kind === 'go';
}

/** Runs the property often: most facts lead to a refusal. */
function holds<T extends [unknown, ...unknown[]]>(property: fc.IPropertyWithHooks<T>): void {
  fc.assert(property, { numRuns: 2_000 });
}

describe('the decision', () => {
  it('is made for all facts, and a wait or refusal says something', () => {
    holds(
      fc.property(facts, stage, (given, at) => {
        const decision = decideDeploy(given, at);
        const words = decision.kind === 'go' ? 'Goes.' : decision.kind === 'wait' ? decision.note : decision.reason;
        expect(words).toMatch(/\S.*[.]$/s);
        const again = decision.kind === 'wait' ? decision.again : 1;
        expect(again === null || again > 0).toBe(true);
      }),
    );
  });

  it('is the same for the same facts', () => {
    holds(fc.property(facts, stage, (given, at) => expect(decideDeploy(given, at)).toEqual(decideDeploy(given, at))));
  });

  it('never lets somebody who asks wait', () => {
    holds(fc.property(facts, (given) => expect(decideDeploy(given, 'ask').kind).not.toBe('wait')));
  });

  it("never lets a stranger's commit go", () => {
    holds(fc.property(facts, stage, (given, at) => expect(goes({ ...given, strange: true }, at)).toBe(false)));
    holds(fc.property(calm, stage, (given, at) => expect(goes({ ...given, strange: true }, at)).toBe(false)));
  });

  it('never lets go what the operator refuses, or what has no digest', () => {
    holds(fc.property(calm, stage, (given, at) => expect(goes({ ...given, refusals: ['No.'] }, at)).toBe(false)));
    const loose = fc.constantFrom({}, { api: '' }, { api: 'r/api:v1' }, { web: digest });
    holds(fc.property(calm, loose, job, (given, images, at) => expect(goes({ ...given, images }, at)).toBe(false)));
  });

  it('never lets anybody without permission go', () => {
    const weak = fc.constantFrom('none', 'read', 'triage');
    holds(
      fc.property(calm, weak, stage, (given, weak, at) => {
        const person = { login: given.actor, role: weak, teams: [] } as const;
        const asked = { ...given, operator: false, person, people: { environment: null, operator: null } };
        expect(goes(asked, at)).toBe(isAutomatic(asked.via) && goes({ ...asked, operator: true }, at));
      }),
    );
  });

  it('never lets go without enough different people, none of whom made the change or asked for it', () => {
    holds(
      fc.property(calm, said, fc.integer({ min: 1, max: 3 }), job, (given, said, count, at) => {
        const by = { permission: 'write', people: [], teams: [] } as const;
        const asked: DeployFacts = { ...given, said, locks: [], approval: { count, by } };
        const authors = 'unknown' in asked.authors ? null : asked.authors;
        const people = new Set(
          said
            .filter((it) => it.decision === 'approve' && !sameLogin(it.login, asked.actor))
            .filter((it) => authors?.every((author) => !sameLogin(author, it.login)) ?? false)
            .map((it) => it.login.toLowerCase()),
        );
        const enough = people.size >= count && said.every((it) => it.decision === 'approve');
        expect(goes(asked, at)).toBe(asked.mode === 'rollback' || enough);
      }),
    );
  });

  it("never lets pass another's lock, unless a maintainer asks to", () => {
    holds(
      fc.property(calm, job, (given, at) => {
        const open = { ...given, approval: null };
        const shut = open.locks.some(
          (it) =>
            (it.environment === '' || it.environment.toLowerCase() === open.environment.toLowerCase()) &&
            (isAutomatic(open.via) || !sameLogin(it.owner, open.actor)),
        );
        const { person } = open;
        const maintains = 'role' in person && sameLogin(person.login, open.actor) && /maintain|admin/.test(person.role);
        const over = open.overLock && maintains && !isAutomatic(open.via);
        expect(goes(open, at)).toBe(!shut || over);
      }),
    );
  });

  it('never goes by what is unknown', () => {
    const away = { unknown: 'GitHub is away.' };
    const gaps = fc.constantFrom<Partial<DeployFacts>>(
      { checks: away, protect: ['test'] },
      { authors: away, approval: { count: 1, by: { permission: 'write', people: [], teams: [] } } },
      { order: [{ environment: 'staging', ...away }] },
      { tag: { name: 'v1', now: away, before: null } },
      { person: away, operator: false, via: 'command' },
    );
    holds(
      fc.property(calm, gaps, (given, gap) => {
        expect(goes({ ...given, ...gap, mode: 'deploy' }, 'begin')).toBe(false);
      }),
    );
  });

  it('goes at the begin only where it would have entered', () => {
    holds(fc.property(facts, (given) => expect(goes(given, 'begin') && !goes(given, 'enter')).toBe(false)));
  });
});

describe('locks', () => {
  it('are one for each name, let only their owner pass, and go only by owner, force or close', () => {
    const step = fc.record({
      what: fc.constantFrom('take', 'release', 'force', 'close'),
      environment: fc.constantFrom('', 'production', 'staging'),
      who: fc.constantFrom('ada', 'bob', 'carol'),
      role,
      pullRequest: fc.constantFrom(null, 1, 2),
    });
    holds(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        let held: readonly (Held & { pullRequest: number | null })[] = [];
        for (const { what, environment, who, role, pullRequest } of steps) {
          const before = held;
          if (what === 'take' && !held.some((it) => it.environment === environment)) {
            held = [...held, { environment, owner: who, reason: '', at: 0, pullRequest }];
          } else if (what === 'close')
            held = held.filter((it) => it.pullRequest === null || it.pullRequest !== pullRequest);
          else {
            const answer = unlocking(held, environment, { login: who, force: what === 'force', role });
            if (answer.kind === 'own' || answer.kind === 'forced') held = held.filter((it) => it !== answer.lock);
          }
          expect(new Set(held.map((it) => it.environment)).size).toBe(held.length);
          const lost = before.filter((it) => !held.includes(it));
          const right = lost.every(
            (it) =>
              it.owner === who ||
              (what === 'force' && /maintain|admin/.test(role)) ||
              (what === 'close' && it.pullRequest !== null),
          );
          expect(right).toBe(true);
          for (const lock of held) {
            const name = lock.environment === '' ? 'anything' : lock.environment;
            const strangers = ['ada', 'bob', 'carol', null].filter((it) => it !== lock.owner);
            const stopped = strangers.every(
              (login) => lockInTheWay(held, name, { login, overLock: false, role: 'admin' }) !== null,
            );
            expect(stopped).toBe(true);
          }
        }
      }),
    );
  });
});

describe('approvals', () => {
  it('come together whatever their order, and no person counts twice', () => {
    const by = { permission: 'write', people: [], teams: [] } as const;
    const excluded = fc.array(login, { maxLength: 2 });
    holds(
      fc.property(said, excluded, fc.integer({ min: 1, max: 3 }), (said, excluded, count) => {
        const one = countApprovals({ count, by }, said, excluded);
        const other = countApprovals({ count, by }, said.toReversed(), excluded);
        expect(other.enough).toBe(one.enough);
        expect(new Set(one.given.map((it) => it.toLowerCase())).size).toBe(one.given.length);
        expect(one.enough && one.rejectedBy !== null).toBe(false);
      }),
    );
  });
});
