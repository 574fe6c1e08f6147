import { expect, it } from '@jest/globals';
import { refuseMachine } from '#src/adapters/docker/executor.ts';

it.each([
  ['linux', 'Debian GNU/Linux 12 (bookworm)', false],
  ['linux', '', false],
  ['linux', 'Docker Desktop', true],
  ['darwin', 'Docker Desktop', true],
  ['darwin', 'Ubuntu 24.04 LTS', true],
  ['win32', 'Docker Desktop', true],
])('on %s with an engine on %j: refused is %j', (platform, engine, refused) => {
  expect(refuseMachine(platform, engine) !== null).toBe(refused);
});
