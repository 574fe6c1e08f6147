import { describe, expect, it } from '@jest/globals';
import { excerpt, explainFailure, locate } from '#src/adapters/docker/build/dockerfile.ts';

const dockerfile = [
  '# syntax is our own',
  'FROM node AS build',
  'RUN npm ci && \\',
  '    # a comment between',
  '    npm run build',
  'RUN true',
  'FROM node',
  'RUN true',
  'COPY dist /dist',
].join('\n');

function vertex(name: string, error = '') {
  return { digest: 'sha256:1', name, cached: false, startedAt: 0, completedAt: 1, error };
}

describe('locate', () => {
  it.each<[string, ReturnType<typeof locate>]>([
    ['[build 2/3] RUN npm ci && npm run build', { first: 3, last: 5 }],
    ['[stage-1 3/3] COPY dist /dist', { first: 9, last: 9 }],
    ['[stage-1 3/3] copy  dist   /dist', { first: 9, last: 9 }],
    ['[build 3/3] RUN true', null],
    ['[stage-1 2/3] RUN something else', null],
  ])('%s', (name, lines) => {
    const found = locate(dockerfile, name);
    expect(found && { first: found.first, last: found.last }).toEqual(lines);
  });
});

describe('excerpt', () => {
  it('marks the lines of the instruction among their neighbours', () => {
    expect(excerpt('a\nb\nc\nd\ne\nf', { first: 3, last: 4 })).toBe(
      ['     1 | a', '     2 | b', '>    3 | c', '>    4 | d', '     5 | e', '     6 | f'].join('\n'),
    );
  });
});

describe('explainFailure', () => {
  const failedCopy = vertex('[stage-1 3/3] COPY dist /dist', '"/dist" not found: not found');
  const newerCopy = vertex(
    '[stage-1 3/3] COPY dist /dist',
    'failed to calculate checksum of ref abc::def: "/dist": not found',
  );
  it.each<[string, string, ReturnType<typeof vertex> | null, unknown]>([
    [
      'a command, as engine 20.10 says it',
      'executor failed running [/bin/sh -c npm ci]: exit code: 3',
      vertex(
        '[build 2/3] RUN npm ci && npm run build',
        'executor failed running [/bin/sh -c npm ci && npm run build]: exit code: 3',
      ),
      'app/Dockerfile:3: `RUN npm ci && npm run build` ended with exit code 3.',
    ],
    [
      'a command, as newer engines say it',
      '',
      vertex('[3/3] RUN true', 'process "/bin/sh -c true" did not complete successfully: exit code: 1'),
      'app/Dockerfile: `RUN true` ended with exit code 1.',
    ],
    [
      'a file that is missing',
      '',
      failedCopy,
      expect.stringContaining('app/Dockerfile:9: `COPY dist /dist` needs dist'),
    ],
    ['the same of a newer engine', '', newerCopy, expect.stringContaining('needs dist, which')],
    [
      'a Dockerfile that cannot be read',
      'failed to solve with frontend dockerfile.v0: failed to create LLB definition: dockerfile parse error line 4: unknown instruction: FOO',
      null,
      'app/Dockerfile:4: unknown instruction: FOO',
    ],
    [
      'no Dockerfile',
      'failed to solve with frontend dockerfile.v0: failed to read dockerfile: open /x/Dockerfile: no such file or directory',
      null,
      'There is no file app/Dockerfile. Add it, or name another with `dockerfile`.',
    ],
    [
      'a base image that is missing',
      '',
      vertex('[internal] load metadata for ghcr.io/acme/none:1', 'ghcr.io/acme/none:1: not found'),
      "app/Dockerfile: the base image ghcr.io/acme/none:1 can't be had: ghcr.io/acme/none:1: not found",
    ],
    [
      'a registry that is away, which is not the author',
      '',
      vertex(
        '[internal] load metadata for ghcr.io/a:1',
        'failed to do request: dial tcp: lookup ghcr.io: no such host',
      ),
      null,
    ],
    ...[
      'toomanyrequests: You have reached your pull rate limit.',
      'unexpected status code [manifests 1]: 429 Too Many Requests',
      'unexpected status code [manifests 1]: 503 Service Unavailable',
      'failed to do request: Head "https://ghcr.io/v2/a/manifests/1": EOF',
      'failed to copy: read tcp 10.0.0.1:1->10.0.0.2:443: connection reset by peer',
      'failed to do request: net/http: request canceled (Client.Timeout exceeded while awaiting headers)',
      'failed to register layer: write /usr/lib/x: no space left on device',
    ].map((cause): [string, string, ReturnType<typeof vertex>, null] => [
      `${cause}: not the author`,
      '',
      vertex('[internal] load metadata for ghcr.io/a:1', cause),
      null,
    ]),
  ])('%s', (_name, message, failed, reason) => {
    expect(explainFailure('app/Dockerfile', message, failed, dockerfile)).toEqual(reason);
  });
});
