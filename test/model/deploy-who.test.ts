import { away, people, person, push, sha, table } from './deploy-facts.ts';

const maintainers = people({ permission: 'maintain' });
const sres = people({ people: ['Carol'], teams: ['acme/sre'] });
table('without rules a deployment', [
  ['goes by a command', {}, 'ask', 'go'],
  ['goes by a command', {}, 'enter', 'go'],
  ['goes by a command', {}, 'begin', 'go'],
  ['goes by a push', push, 'enter', 'go'],
  ['goes by a push', push, 'begin', 'go'],
  ['goes by a tag', { via: 'tag', tag: { name: 'v1', now: sha, before: null } }, 'enter', 'go'],
  ['goes by a release', { via: 'release', tag: { name: 'v1', now: sha, before: null } }, 'begin', 'go'],
  ['goes by a button', { via: 'button' }, 'begin', 'go'],
  ['goes by the API', { via: 'api' }, 'begin', 'go'],
  ['goes as a rollback', { mode: 'rollback' }, 'begin', 'go'],
  ['goes as a promotion', { mode: 'promote' }, 'begin', 'go'],
]);

table("a stranger's commit", [
  ['is refused', { strange: true }, 'ask', /^refuse: A stranger's commit is never deployed/],
  ['is refused', { strange: true }, 'enter', /^refuse: A stranger's commit is never deployed/],
  ['is refused by a push', { ...push, strange: true }, 'begin', /^refuse: A stranger/],
  ['is refused as a rollback', { mode: 'rollback', strange: true }, 'enter', /^refuse: A stranger/],
  ['is refused for an admin', { person: person('ada', 'admin'), strange: true }, 'enter', /^refuse: A stranger/],
  ['is refused with the operator’s word', { operator: true, strange: true }, 'begin', /^refuse: A stranger/],
]);

table('what the operator’s file refuses', [
  ['is refused', { refusals: ['No.'] }, 'enter', 'refuse: No.'],
  ['is refused with all reasons', { refusals: ['No.', 'Never.'] }, 'begin', 'refuse: No. Never.'],
  ['is refused for a rollback', { mode: 'rollback', refusals: ['No.'] }, 'begin', 'refuse: No.'],
]);

table('who asks', [
  [
    'needs write permission',
    { person: person('ada', 'read') },
    'ask',
    'refuse: @ada may not deploy to production: that needs write permission, and GitHub reports "read" for @ada.',
  ],
  ['has too little with triage', { person: person('ada', 'triage') }, 'enter', /^refuse: @ada may not deploy/],
  ['has too little without a role', { person: person('ada', 'none') }, 'begin', /^refuse: @ada may not deploy/],
  ['may with maintain', { person: person('ada', 'maintain') }, 'begin', 'go'],
  ['may with admin', { person: person('ada', 'admin') }, 'begin', 'go'],
  [
    'is none of the maintainers',
    { people: { environment: maintainers, operator: null } },
    'ask',
    'refuse: @ada may not deploy to production. The environment lets people with maintain permission do that; GitHub reports "write" for @ada.',
  ],
  [
    'is a maintainer',
    { people: { environment: maintainers, operator: null }, person: person('ada', 'maintain') },
    'ask',
    'go',
  ],
  [
    'is above a maintainer',
    { people: { environment: maintainers, operator: null }, person: person('ada', 'admin') },
    'ask',
    'go',
  ],
  [
    'is not named',
    { people: { environment: sres, operator: null }, person: person('ada', 'admin') },
    'ask',
    /lets @Carol or the team acme\/sre do that; GitHub reports "admin" for @ada\.$/,
  ],
  [
    'is named, in other letters',
    { people: { environment: sres, operator: null }, actor: 'CAROL', person: person('CAROL', 'none') },
    'ask',
    'go',
  ],
  [
    'is in the team',
    { people: { environment: sres, operator: null }, person: person('ada', 'read', ['Acme/SRE']) },
    'ask',
    'go',
  ],
  [
    'is in another team',
    { people: { environment: sres, operator: null }, person: person('ada', 'write', ['acme/dev']) },
    'ask',
    /^refuse/,
  ],
  [
    'is kept by a rule that names nobody',
    { people: { environment: people({}), operator: null } },
    'ask',
    /lets nobody do that/,
  ],
  [
    'is not let in by the role that everybody has',
    { people: { environment: people({ permission: 'none' }), operator: null } },
    'ask',
    /^refuse/,
  ],
  [
    'is kept by the operator, though the environment lets them',
    { people: { environment: null, operator: sres } },
    'enter',
    /^refuse: @ada may not deploy to production\. The operator's file lets only @Carol or the team acme\/sre deploy to production; GitHub reports "write"/,
  ],
  [
    'is kept by the environment, though the operator lets them',
    { people: { environment: sres, operator: people({ permission: 'write' }) } },
    'enter',
    /^refuse: .*The environment lets/,
  ],
  [
    'is let in by both',
    { people: { environment: sres, operator: sres }, person: person('ada', 'read', ['acme/sre']) },
    'begin',
    'go',
  ],
  [
    'rolls back with permission only',
    { mode: 'rollback', person: person('ada', 'read') },
    'ask',
    /^refuse: @ada may not/,
  ],
  ['promotes with permission only', { mode: 'promote', person: person('ada', 'read') }, 'ask', /^refuse: @ada may not/],
  [
    'isn’t known to GitHub right now',
    { person: away },
    'enter',
    'wait checks 20s: Waits to find out whether @ada may deploy to production. GitHub could not be asked: 502. Slipway asks again by itself.',
  ],
  [
    'isn’t known to GitHub right now',
    { person: away },
    'ask',
    "refuse: Slipway can't find out whether @ada may deploy to production. GitHub could not be asked: 502. Ask again in a while.",
  ],
  [
    'isn’t let in by what is known of another',
    { person: person('bob', 'admin') },
    'enter',
    /GitHub reports "none" for @ada/,
  ],
  [
    'has the operator’s own word',
    { operator: true, person: away, people: { environment: sres, operator: sres } },
    'begin',
    'go',
  ],
]);

table('what happens by itself', [
  ['asks for nobody’s permission', { ...push, person: away }, 'enter', 'go'],
  [
    'asks not for the environment’s',
    { ...push, people: { environment: sres, operator: null }, person: away },
    'enter',
    'go',
  ],
  [
    'needs the operator’s',
    { ...push, people: { environment: null, operator: sres } },
    'enter',
    /^refuse: The operator's file lets only .* and @ada caused this deployment \(GitHub reports "write" for @ada\)\. One of them can ask for it/,
  ],
  [
    'has the operator’s',
    { ...push, people: { environment: null, operator: people({ permission: 'write' }) } },
    'enter',
    'go',
  ],
  [
    'waits to know',
    { ...push, people: { environment: null, operator: sres }, person: away },
    'enter',
    /^wait checks 20s/,
  ],
]);
