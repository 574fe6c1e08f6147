import { describe, expect, it } from '@jest/globals';
import { type Command, commandNames, mostCommands, parseCommands } from '#src/model/command.ts';
import { helpText } from '#src/model/command-help.ts';

const none = { params: {} };
const one = (body: string, aliases?: Readonly<Record<string, string>>): Command | undefined => {
  const asked = parseCommands(body, aliases);
  expect(asked.length).toBeLessThanOrEqual(1);
  return asked[0]?.command;
};
const deploy = (environment: string, ref: string | null = null, params: Readonly<Record<string, string>> = {}) =>
  ({ kind: 'deploy', environment, ref, params }) as const;

describe('a command', () => {
  it.each<[string, Command]>([
    ['/deploy staging', deploy('staging')],
    ['/deploy staging main', deploy('staging', 'main')],
    ['/deploy staging feature/x', deploy('staging', 'feature/x')],
    ['/DEPLOY Staging', deploy('Staging')],
    ['/Deploy staging v1.2', deploy('staging', 'v1.2')],
    ['Looks good.\r\n\r\n/deploy  production \r\n', deploy('production')],
    ['/deploy staging -- a=1', deploy('staging', null, { a: '1' })],
    ['/deploy staging main -- a=1 b=two c=', deploy('staging', 'main', { a: '1', b: 'two', c: '' })],
    ['/deploy staging -- text="two words" x=1', deploy('staging', null, { text: 'two words', x: '1' })],
    ['/deploy staging -- url=https://a.example/?b=c', deploy('staging', null, { url: 'https://a.example/?b=c' })],
    ['/deploy staging --', deploy('staging')],
    ['/deploy staging — a=1', deploy('staging', null, { a: '1' })],
    ['/deploy staging <!-- for the demo -->', deploy('staging')],
    ['/plan', { kind: 'plan', environment: null, ref: null }],
    ['/plan staging', { kind: 'plan', environment: 'staging', ref: null }],
    ['/plan staging main', { kind: 'plan', environment: 'staging', ref: 'main' }],
    ['/rollback production', { kind: 'rollback', environment: 'production', to: null, force: false }],
    ['/rollback production 2', { kind: 'rollback', environment: 'production', to: '2', force: false }],
    ['/rollback production v1.4.0', { kind: 'rollback', environment: 'production', to: 'v1.4.0', force: false }],
    ['/rollback production --force', { kind: 'rollback', environment: 'production', to: null, force: true }],
    [
      '/rollback --force production c0ffee1',
      { kind: 'rollback', environment: 'production', to: 'c0ffee1', force: true },
    ],
    ['/rollback production —force', { kind: 'rollback', environment: 'production', to: null, force: true }],
    ['/promote staging production', { kind: 'promote', from: 'staging', to: 'production' }],
    ['/approve', { kind: 'approve', environment: null }],
    ['/approve production', { kind: 'approve', environment: 'production' }],
    ['/reject', { kind: 'reject', words: '' }],
    ['/reject production too early', { kind: 'reject', words: 'production too early' }],
    ['/lock production', { kind: 'lock', environment: 'production', reason: '', sticky: false }],
    [
      '/lock production release in progress',
      { kind: 'lock', environment: 'production', reason: 'release in progress', sticky: false },
    ],
    [
      '/lock production --sticky until Monday',
      { kind: 'lock', environment: 'production', reason: 'until Monday', sticky: true },
    ],
    ['/lock production all --of it', { kind: 'lock', environment: 'production', reason: 'all --of it', sticky: false }],
    ['/lock --all', { kind: 'lock', environment: null, reason: '', sticky: false }],
    ['/lock --all an incident', { kind: 'lock', environment: null, reason: 'an incident', sticky: false }],
    ['/unlock production', { kind: 'unlock', environment: 'production', force: false }],
    ['/unlock production --force', { kind: 'unlock', environment: 'production', force: true }],
    ['/unlock --all', { kind: 'unlock', environment: null, force: false }],
    ['/unlock --all --force', { kind: 'unlock', environment: null, force: true }],
    ['/where', { kind: 'where' }],
    ['/retry', { kind: 'retry', job: null }],
    ['/retry test (node 24)', { kind: 'retry', job: 'test (node 24)' }],
    ['/run e2e', { kind: 'run', job: 'e2e' }],
    ['/run "deploy docs"', { kind: 'run', job: 'deploy docs' }],
    ['Never mind.\n/cancel ', { kind: 'cancel' }],
    ['/help', { kind: 'help' }],
    ['/help me', { kind: 'help' }],
  ])('%j', (body, expected) => {
    expect(one(body)).toEqual(expected);
  });

  it.each<[string, string, string]>([
    ['/deploy', 'Name the environment', '/deploy ENV'],
    ['/deploy -- a=1', 'Name the environment', '/deploy ENV'],
    ['/deploy staging main now', 'one environment and one branch', '/deploy ENV'],
    ['/deploy staging --force', 'no option `--force`', '/deploy ENV'],
    ['/deploy staging -- broken', '`broken` is none', '/deploy ENV'],
    ['/deploy staging -- a=1 a=2', '`a` is given twice', '/deploy ENV'],
    [`/deploy staging -- a=${'x'.repeat(201)}`, 'longer than 200', '/deploy ENV'],
    [`/deploy staging -- ${Array.from({ length: 21 }, (_, i) => `a${i}=1`).join(' ')}`, 'more than 20', '/deploy ENV'],
    ['/deploy staging -- 1a=2', '`1a=2` is none', '/deploy ENV'],
    ['/plan a b c', 'one environment', '/plan [ENV]'],
    ['/rollback', 'Name the environment', '/rollback ENV'],
    ['/rollback a b c', 'one environment', '/rollback ENV'],
    ['/rollback a --now', 'no option `--now`', '/rollback ENV'],
    ['/promote', 'Name two environments', '/promote FROM TO'],
    ['/promote staging', 'Name two environments', '/promote FROM TO'],
    ['/promote a b c', 'Name two environments', '/promote FROM TO'],
    ['/approve a b', 'one environment', '/approve [ENV]'],
    ['/lock', '/lock --all', '/lock ENV'],
    ['/lock --forever', 'Name the environment', '/lock ENV'],
    ['/unlock', '/unlock --all', '/unlock ENV'],
    ['/unlock --all production', '/unlock --all', '/unlock ENV'],
    ['/unlock a b', '/unlock --all', '/unlock ENV'],
    ['/unlock a --now', 'no option `--now`', '/unlock ENV'],
    ['/where staging', 'alone on a line', '/where'],
    ['/cancel test', 'alone on a line', '/cancel'],
    ['/run', 'Name the job', '/run JOB'],
  ])('%j says what is wrong, and how it is written', (body, what, usage) => {
    expect(one(body)).toEqual({ kind: 'malformed', message: expect.stringContaining(what) as unknown });
    expect(one(body)).toEqual({ kind: 'malformed', message: expect.stringContaining(`\`${usage}`) as unknown });
  });

  it('shows nobody text that formats or calls', () => {
    const { message = '' } = one('/deploy staging --`@ada`<b>') as { message?: string };
    expect(message).toContain("`--'@ada'<b>`");
  });
});

describe('what is no command', () => {
  it.each([
    '',
    'please /deploy staging',
    '> /deploy production',
    '>/deploy production',
    '    /deploy production',
    '\t/deploy production',
    ' /deploy production',
    '- /deploy production',
    '```\n/deploy production\n```',
    '```sh\n/deploy production\n```',
    '````\n```\n/deploy production\n````',
    '- ```\n  x\n  ```\n  /deploy production',
    '`/deploy production`',
    '`a\n/deploy production\nb`',
    '``a ` b\n/deploy production\n``',
    '<!-- by hand only:\n/deploy production\n-->',
    '<pre>\n/deploy production\n</pre>',
    '/deployment staging',
    '/cancelled',
    '/deploy/staging',
    '/deploy-staging now',
    '/deploy:staging',
    '//deploy staging',
    '/ deploy staging',
    '\u200B/deploy staging',
    '\uFEFF/deploy staging',
    '> quoted\r/deploy staging',
    '> quoted\u2028/deploy staging',
    '/d\u0435ploy staging',
    // Other bots', and folders.
    '/cc @someone',
    '/lgtm',
    '/assign @ada',
    '/unassign',
    '/hold',
    '/retest',
    '/rebase',
    '/merge',
    '/close',
    '/label bug',
    '/test all',
    '/etc/passwd',
    '/api/deploy',
    '/usr/bin/env',
    '/var',
    '/rerun',
    '/reply thanks',
    '/here',
  ])('%j', (body) => {
    expect(parseCommands(body)).toEqual([]);
  });

  it.each<[string, string]>([
    ['~~~~\n/deploy a\n~~~\n/deploy b\n~~~~\n/deploy c', 'c'],
    ['<!-- a --> <!--\n/deploy a\n--> b\n/deploy c', 'c'],
    ['<!-- all on one line -->\n/deploy c', 'c'],
    ['```\n<!--\n```\n/deploy c', 'c'],
    ['```one line of code```\n/deploy c', 'c'],
    ['One ` alone\n/deploy c', 'c'],
    ['One ` alone\n\n/deploy c\n\nand ` another', 'c'],
    ['- ```\n  /deploy a\n/deploy c', 'c'],
    ['<pre>/deploy a</pre>\n/deploy c', 'c'],
    ['> quoted\n/deploy c', 'c'],
  ])('%j hides nothing behind it', (body, environment) => {
    expect(one(body)).toEqual(deploy(environment));
  });
});

describe('a slip', () => {
  it.each([
    ['/depoly staging', 'deploy'],
    ['/deplyo staging', 'deploy'],
    ['/rolback production', 'rollback'],
    ['/roll-back production', 'rollback'],
    ['/promot a b', 'promote'],
    ['/aprove', 'approve'],
    ['/rejct', 'reject'],
    ['/unlok staging', 'unlock'],
    ['/wheer', 'where'],
    ['/retyr', 'retry'],
    ['/cancle', 'cancel'],
    ['/hlep', 'help'],
    ['/ok-to-tets c0ffee1', 'ok-to-test'],
  ])('%j: did you mean /%s?', (body, meant) => {
    expect(one(body)).toMatchObject({
      kind: 'malformed',
      message: expect.stringContaining(`Did you mean \`/${meant}\`?`),
    });
  });
});

describe('several commands', () => {
  it('are found in order, each with its line', () => {
    const body = 'Now:\n/unlock staging\n\n> /deploy no\n/deploy staging\nand\n/where';
    expect(parseCommands(body).map(({ line, command }) => [line, command.kind])).toEqual([
      [1, 'unlock'],
      [4, 'deploy'],
      [6, 'where'],
    ]);
  });

  it('are at most ten, and the rest is told', () => {
    const asked = parseCommands('/where\n'.repeat(50));
    expect(asked).toHaveLength(mostCommands + 1);
    expect(asked.slice(0, mostCommands).every(({ command }) => command.kind === 'where')).toBe(true);
    expect(asked.at(-1)?.command).toMatchObject({ kind: 'malformed', message: expect.stringContaining('10') });
  });
});

describe('aliases', () => {
  const aliases = {
    '.deploy': '/deploy',
    '.deploy prod': '/deploy production',
    '.noop': '/plan',
    '.wcid': '/where',
    '!ship': '/deploy staging main',
    '>go': '/deploy staging',
  };

  it.each<[string, Command | undefined]>([
    ['.deploy staging', deploy('staging')],
    ['.DEPLOY staging', deploy('staging')],
    ['.deploy prod', deploy('production')],
    ['.deploy prod v1', deploy('production', 'v1')],
    ['.deploy production', deploy('production')],
    ['.noop', { kind: 'plan', environment: null, ref: null }],
    ['.noop staging', { kind: 'plan', environment: 'staging', ref: null }],
    ['.wcid', { kind: 'where' }],
    ['!ship', { ...deploy('staging', 'main'), ...none }],
    ['!ship it', { kind: 'malformed', message: expect.stringContaining('one environment') as unknown as string }],
    ['.deployment staging', undefined],
    ['please .deploy staging', undefined],
    ['> .deploy staging', undefined],
    ['```\n.deploy staging\n```', undefined],
    ['>go', undefined],
    ['/deploy staging', deploy('staging')],
  ])('%j', (body, expected) => {
    expect(one(body, aliases)).toEqual(expected);
  });
});

describe('/ok-to-test', () => {
  const sha = 'c0ffee'.padEnd(40, '0');
  const runs = { kind: 'ok-to-test', sha };

  it.each([
    [`/ok-to-test ${sha}`, runs],
    [`/ok-to-test ${sha.toUpperCase()}`, runs],
    [`/OK-TO-TEST ${sha}`, runs],
    ['/ok-to-test c0ffee0', { kind: 'ok-to-test', sha: 'c0ffee0' }],
    [`I have read it.\r\n\r\n/ok-to-test   ${sha}  \r\n`, runs],
    ['/ok-to-test', { kind: 'ok-to-test', sha: null }],
    [`/ok-to-test ${'a'.repeat(64)}`, { kind: 'ok-to-test', sha: 'a'.repeat(64) }],
    // What isn't the person's own word, or isn't the command.
    [`> /ok-to-test ${sha}`, undefined],
    [`  > /ok-to-test ${sha}`, undefined],
    [`>/ok-to-test ${sha}`, undefined],
    [`\`/ok-to-test ${sha}\``, undefined],
    [`\`\`\`\n/ok-to-test ${sha}\n\`\`\``, undefined],
    [`~~~\n/ok-to-test ${sha}\n~~~`, undefined],
    [`    /ok-to-test ${sha}`, undefined],
    [`\t/ok-to-test ${sha}`, undefined],
    [`- /ok-to-test ${sha}`, undefined],
    [`<!--\n/ok-to-test ${sha}\n-->`, undefined],
    [`<!-- /ok-to-test ${sha} -->`, undefined],
    [`say /ok-to-test ${sha}`, undefined],
    [`\u200B/ok-to-test ${sha}`, undefined],
    [`/ok\u2010to-test ${sha}`, undefined],
    [`/ok-t\u043E-test ${sha}`, undefined],
  ])('%j -> %j', (body, expected) => {
    expect(one(body)).toEqual(expected);
  });

  it.each([
    ['words behind it', `/ok-to-test ${sha} please`],
    ['two commits', `/ok-to-test ${sha} ${sha}`],
    ['a branch', '/ok-to-test main'],
    ['a ref', '/ok-to-test refs/heads/main'],
    ['HEAD', '/ok-to-test HEAD'],
    ['an expression of git', '/ok-to-test c0ffee0^'],
    ['a range', '/ok-to-test c0ffee0..c0ffee1'],
    ['too few digits', '/ok-to-test c0ffee'],
    ['too many digits', `/ok-to-test ${'a'.repeat(65)}`],
    ['letters that are no digits', `/ok-to-test ${'g'.repeat(40)}`],
    ['a letter that looks like a', `/ok-to-test ${sha.slice(0, 39)}\u0430`],
    ['a digit of another script', `/ok-to-test ${sha.slice(0, 39)}\uFF10`],
    ['an invisible sign', `/ok-to-test ${sha.slice(0, 20)}\u200B${sha.slice(20)}`],
    ['a wildcard', '/ok-to-test *******'],
    ['marks of code', `/ok-to-test \`${sha}\``],
    ['an option', '/ok-to-test --all'],
  ])('%s: says how it is written', (_what, body) => {
    const message = expect.stringContaining('`/ok-to-test SHA`') as unknown;
    expect(one(body)).toEqual({ kind: 'malformed', message });
  });
});

it.each(commandNames)('/help tells of /%s', (name) => {
  expect(helpText()).toContain(`| \`/${name}`);
});

it('/help is a table of three columns', () => {
  for (const row of helpText().split('\n')) expect(row.replaceAll('\\|', '').split('|')).toHaveLength(5);
});
