import { expect, it } from '@jest/globals';
import { asPlatformError, describe as sentence, faultOf } from '#src/adapters/github/faults.ts';

const now = 1_800_000_000_000;

function refusal(status: number, message = 'no', headers: Record<string, string> = {}): Error {
  return Object.assign(new Error(message), { status, response: { headers } });
}

it.each([
  ['a broken connection', new TypeError('fetch failed'), { kind: 'transient' }],
  ['an error of GitHub', refusal(502), { kind: 'transient' }],
  ['its own timeout', refusal(408), { kind: 'transient' }],
  ['429', refusal(429), { kind: 'rate', until: now + 60_000 }],
  ['429 with a time', refusal(429, 'x', { 'retry-after': '7' }), { kind: 'rate', until: now + 7_000 }],
  ['a secondary limit', refusal(403, 'x', { 'retry-after': '7' }), { kind: 'rate', until: now + 7_000 }],
  [
    'one that only says so',
    refusal(403, 'You have exceeded a secondary rate limit'),
    { kind: 'rate', until: now + 60_000 },
  ],
  [
    'a primary limit',
    refusal(403, 'x', { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': `${now / 1000 + 90}` }),
    { kind: 'rate', until: now + 90_000 },
  ],
  ['a missing permission', refusal(403, 'Resource not accessible by integration'), { kind: 'permanent', status: 403 }],
  ['no access', refusal(404), { kind: 'permanent', status: 404 }],
  ['a bad request', refusal(422), { kind: 'permanent', status: 422 }],
  ['bad credentials', refusal(401), { kind: 'permanent', status: 401 }],
])('%s', (_what, error, fault) => {
  expect(faultOf(error, now)).toMatchObject(fault);
});

it('tells what failed and what to do, in one line', () => {
  const error = asPlatformError('comment on #7', refusal(403, 'Resource not accessible by integration\nmore'));
  expect(error.message).toMatch(
    /^GitHub could not be asked to comment on #7: 403 Resource not accessible by integration\. Compare the App's permissions/,
  );
  expect(sentence('odd')).toBe('unknown error');
});
