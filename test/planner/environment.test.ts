import { readFileSync } from 'node:fs';
import { expect, it } from '@jest/globals';
import type { Trigger } from '#src/model/event.ts';
import { eventContext } from '#src/model/expression.ts';
import { jobEnvironment } from '#src/planner/environment.ts';
import { jobOf, repository, runOf, sha } from '#test/model/samples.ts';

const base = { sha, actor: 'ada', title: 't', ref: 'refs/x' };
const url = 'https://slipway.example.com/runs/run1';

function variables(trigger: Trigger, at = url) {
  return jobEnvironment({ run: runOf(trigger), job: jobOf('test'), url: at });
}

it('gives the event to the job, and leaves out what it does not have', () => {
  const pull = variables({ ...base, kind: 'pull_request', number: 7, branch: 'topic', base: 'main', fork: true });
  expect(pull).toMatchObject({
    CI: 'true',
    SLIPWAY_EVENT: 'pull_request',
    SLIPWAY_BRANCH: 'topic',
    SLIPWAY_PULL_REQUEST: '7',
    SLIPWAY_BASE_BRANCH: 'main',
    SLIPWAY_REPOSITORY: 'acme/shop',
  });
  expect(Object.keys(pull)).not.toContain('SLIPWAY_TAG');
  const tag = variables({ ...base, kind: 'tag', tag: 'v1' }, '');
  expect(tag).toMatchObject({ SLIPWAY_TAG: 'v1', SLIPWAY_SHA: sha });
  expect(Object.keys(tag)).not.toContain('SLIPWAY_BRANCH');
  expect(Object.keys(tag)).not.toContain('SLIPWAY_RUN_URL');
});

const asked: Trigger = {
  ...base,
  kind: 'deploy',
  environment: 'production',
  branch: '',
  tag: 'v1.4.0',
  params: { key: 'a "b"', 'log-level': 'debug' },
  number: 7,
  request: '1',
};

it('gives what was asked for with a deployment to the jobs of its run', () => {
  expect(variables(asked)).toMatchObject({
    SLIPWAY_EVENT: 'deploy',
    SLIPWAY_TAG: 'v1.4.0',
    SLIPWAY_PULL_REQUEST: '7',
    SLIPWAY_PARAM_KEY: 'a "b"',
    SLIPWAY_PARAM_LOG_LEVEL: 'debug',
  });
  expect(eventContext(asked, repository)).toMatchObject({
    kind: 'deploy',
    tag: 'v1.4.0',
    branch: '',
    params: { key: 'a "b"', 'log-level': 'debug' },
  });
  expect(eventContext({ ...base, kind: 'push', branch: 'main' }, repository)).toMatchObject({ tag: '', params: {} });
});

it('is documented', () => {
  const docs = readFileSync(new URL('../../docs/pipeline.md', import.meta.url), 'utf8');
  const names = new Set([
    ...Object.keys(variables({ ...base, kind: 'pull_request', number: 7, branch: 'topic', base: 'main', fork: true })),
    ...Object.keys(variables({ ...base, kind: 'tag', tag: 'v1' })),
    ...Object.keys(variables({ ...asked, params: { key: 'x' } })),
  ]);
  const listed = [...docs.matchAll(/^\| `((?:CI|SLIPWAY)\w*)` \|/gm)].map((match) => match[1]);
  expect(new Set(listed)).toEqual(names);
});
