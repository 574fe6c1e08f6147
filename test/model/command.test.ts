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
});
