import { describe, expect, it } from '@jest/globals';
import { timeLeft } from '#src/adapters/docker/attach.ts';
import { judge, type LastState } from '#src/adapters/docker/verdict.ts';
import { PlatformError } from '#src/model/outcome.ts';

const limits = { memory: 4 * 1024 ** 3, cpus: null, pids: 2048, files: null, disk: null };
const ended: LastState = { exitCode: 0, oomKilled: false, gone: false, restarted: false, unreachable: false };
const plain = { steps: [{ name: 'test', script: 'x' }], shell: 'sh', artifacts: [], reports: [] } as const;
const told = { step: 0, done: null, hasBegun: true, inputsFailed: false, unpacked: new Set<string>() };
const silent = { ...told, step: null, hasBegun: false };
const done = (code: number, oomKills = 0) => ({ ...told, done: { code, oomKills } });

function verdict(state: Parameters<typeof judge>[1], last: Partial<LastState> | null, packs = false): string {
  try {
    const request = { ...plain, artifacts: packs ? ['a'] : [] };
    const outcome = judge(request, state, last && { ...ended, ...last }, limits);
    return outcome.kind === 'success' ? 'success' : `${outcome.kind}: ${outcome.reason}`;
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error;
    return `${error.retry}: ${error.message}`;
  }
}

it('an image without the docker command is pointed out where the job asked for Docker, and only there', () => {
  const docker = { refusePush: () => null, mayUse: () => false };
  const reason = (code: number, has: typeof docker | null) => {
    const outcome = judge({ ...plain, docker: has }, done(code), null, limits);
    return outcome.kind === 'failure' ? outcome.reason : outcome.kind;
  };
  expect(reason(127, docker)).toContain('the image must have the docker command');
  expect([reason(1, docker), reason(127, null)].join(' ')).not.toContain('docker');
});

describe('whose doing the end of a job is', () => {
  it.each([
    ['exit 0, told', done(0), null, /^success/],
    ['exit 1, told', done(1), null, /^failure: .*exit code 1/],
    ['kill -9 of its own shell', done(137), null, /^failure: .*SIGKILL/],
    ['a child without memory', done(137, 1), null, /^failure: .*out of memory/],
    ['the first process without memory', told, { exitCode: 137, oomKilled: true }, /^failure: .*out of memory/],
    ['SIGKILL from outside', told, { exitCode: 137 }, /^once: The Docker engine restarted or somebody stopped/],
    ['SIGTERM from outside', told, { exitCode: 143 }, /^once: The Docker engine restarted or somebody stopped/],
    ['an engine that found it dead', told, { exitCode: 255 }, /^once: The Docker engine restarted or somebody stopped/],
    ['an engine that was restarted', told, { exitCode: 137, restarted: true }, /^once: .*engine restarted/],
    ['an engine that is away', told, { exitCode: null, unreachable: true }, /^once: .*went away/],
    ['docker rm -f', told, { exitCode: null, gone: true }, /^once: .*is gone/],
    ["a crash of the image's shell", told, { exitCode: 139 }, /^failure: .*SIGSEGV/],
    ['a shell that gave up', told, { exitCode: 2 }, /^failure: .*exit code 2, and the job's container/],
    [
      'a container that ended before its job began',
      silent,
      { exitCode: 2 },
      /^once: .*ended before the job could begin/,
    ],
    ['an image without a program that it needs', silent, { exitCode: 127 }, /^failure: .*lacks a program/],
    ['a full disk: no mark could be written', told, { exitCode: 0 }, /^once: .*disk full/],
    ['a kill after a success that had nothing to pack', done(0), { exitCode: 137 }, /^success/],
    ['a kill after a failure', done(3), { exitCode: 137 }, /^failure: .*exit code 3/],
  ] as const)('%s', (_, state, last, expected) => expect(verdict(state, last)).toMatch(expected));

  it.each([
    ['a kill', { exitCode: 137 }, /^once: The Docker engine restarted or somebody stopped/],
    ['a restart', { exitCode: null, gone: true, restarted: true }, /^once: .*engine restarted/],
    ['a full disk', { exitCode: 0 }, /^once: .*disk full/],
    ['a shell that gave up', { exitCode: 2 }, /^failure: .*exit code 2/],
    ['too little memory', { exitCode: 137, oomKilled: true }, /^failure: .*out of memory/],
  ] as const)('%s while artifacts are packed: no torn archive is taken', (_, last, expected) => {
    expect(verdict(done(0), last, true)).toMatch(expected);
  });
});

describe('what is left of the time limit', () => {
  const begun = { startedAt: 1_000_000_000, uptime: 500 };
  it.each([
    ['after a minute', 1_000_060_000, 560, 540_000],
    ['if the clock jumped ahead by a day', 1_086_400_000, 560, 540_000],
    ['if the clock jumped back by a day', 913_600_000, 560, 540_000],
    ['if it is over', 1_003_600_000, 4100, 5000],
    ['if the machine was restarted', 1_000_060_000, 10, 540_000],
    ['if the machine was restarted and its clock is wrong', 0, 10, 600_000],
  ])('%s', (_, now, uptime, left) => expect(timeLeft(600_000, begun, now, uptime)).toBe(left));
});
