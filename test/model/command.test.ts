import { describe, expect, it } from '@jest/globals';
import { helpText, parseCommand } from '#src/model/command.ts';

describe('parseCommand', () => {
  it.each([
    ['/deploy staging', { kind: 'deploy', environment: 'staging' }],
    ['Looks good.\r\n\r\n/deploy  production \r\n', { kind: 'deploy', environment: 'production' }],
    ['/help', { kind: 'help' }],
    ['/help me', { kind: 'help' }],
    ['Never mind.\n/cancel ', { kind: 'cancel' }],
    ['/cancelled', null],
    ['> /cancel', null],
    ['please /deploy staging', null],
    ['> /deploy production', null],
    ['    /deploy production', null],
    ['```\n/deploy production\n```', null],
    ['~~~~\n/deploy a\n~~~\n/deploy b\n~~~~\n/deploy c', { kind: 'deploy', environment: 'c' }],
    ['<!-- by hand only:\n/deploy production\n-->', null],
    ['<!-- a --> <!--\n/deploy a\n--> b\n/deploy c', { kind: 'deploy', environment: 'c' }],
    ['<!-- all on one line -->\n/deploy a', { kind: 'deploy', environment: 'a' }],
    ['```\n<!--\n```\n/deploy a', { kind: 'deploy', environment: 'a' }],
    ['/deployment staging', null],
    ['/cc @someone', null],
    ['', null],
  ])('%j -> %j', (body, expected) => {
    expect(parseCommand(body)).toEqual(expected);
  });

  it.each(['/deploy', '/deploy staging main'])('%j says how it is written', (body) => {
    expect(parseCommand(body)).toEqual({
      kind: 'malformed',
      message: expect.stringContaining('/deploy ENVIRONMENT') as unknown,
    });
  });
});

describe('/ok-to-test', () => {
  const sha = 'c0ffee'.padEnd(40, '0');
  const runs = { kind: 'ok-to-test', sha };

  it.each([
    [`/ok-to-test ${sha}`, runs],
    [`/ok-to-test ${sha.toUpperCase()}`, runs],
    ['/ok-to-test c0ffee0', { kind: 'ok-to-test', sha: 'c0ffee0' }],
    [`I have read it.\r\n\r\n/ok-to-test   ${sha}  \r\n`, runs],
    ['/ok-to-test', { kind: 'ok-to-test', sha: null }],
    [`/ok-to-test ${'a'.repeat(64)}`, { kind: 'ok-to-test', sha: 'a'.repeat(64) }],
    // What isn't the person's own word, or isn't the command.
    [`> /ok-to-test ${sha}`, null],
    [`  > /ok-to-test ${sha}`, null],
    [`>/ok-to-test ${sha}`, null],
    [`\`/ok-to-test ${sha}\``, null],
    [`\`\`\`\n/ok-to-test ${sha}\n\`\`\``, null],
    [`~~~\n/ok-to-test ${sha}\n~~~`, null],
    [`    /ok-to-test ${sha}`, null],
    [`\t/ok-to-test ${sha}`, null],
    [`- /ok-to-test ${sha}`, null],
    [`<!--\n/ok-to-test ${sha}\n-->`, null],
    [`<!-- /ok-to-test ${sha} -->`, null],
    [`say /ok-to-test ${sha}`, null],
    [`\u200B/ok-to-test ${sha}`, null],
    [`\uFEFF/ok-to-test ${sha}`, null],
    [`> quoted\r/ok-to-test ${sha}`, null],
    [`> quoted\u2028/ok-to-test ${sha}`, null],
    [`/ok-to-tests ${sha}`, null],
    [`/OK-TO-TEST ${sha}`, null],
    [`/ok\u2010to-test ${sha}`, null],
    [`/ok-t\u043E-test ${sha}`, null],
  ])('%j -> %j', (body, expected) => {
    expect(parseCommand(body)).toEqual(expected);
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
    expect(parseCommand(body)).toEqual({ kind: 'malformed', message });
  });
});

it('/cancel takes no job yet', () => {
  expect(parseCommand('/cancel test')).toEqual({
    kind: 'malformed',
    message: expect.stringContaining('alone on a line: `/cancel`') as unknown,
  });
});

it('helps with each command', () => {
  expect(helpText()).toContain('`/deploy ENVIRONMENT`');
  expect(helpText()).toContain('`/help`');
  expect(helpText()).toContain('`/cancel`');
  expect(helpText()).toContain('`/ok-to-test SHA`');
});
