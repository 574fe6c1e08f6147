import { readFileSync } from 'node:fs';
import { expect, it, jest } from '@jest/globals';
import { createSetup } from '#src/adapters/github/setup.ts';
import { useNock } from '#test/nock.ts';
import { api } from './support.ts';

const nock = useNock();
const manifest = readFileSync('app.yml', 'utf8');
const options = {
  manifest,
  publicUrl: 'https://ci.acme.example',
  webhookPath: '/api/github/webhooks',
  redirectPath: '/setup/done',
  host: null,
  protocol: 'https' as const,
};
const app = {
  id: 123,
  slug: 'slipway-acme',
  pem: 'PEM',
  webhook_secret: 'shh',
  html_url: 'https://github.com/apps/slipway-acme',
};

function stateOf(action: string): string {
  return new URL(action).searchParams.get('state') ?? '';
}

it('has this server in the manifest', () => {
  const { action, manifest: text } = createSetup(options).registration(null);
  expect(action).toMatch(/^https:\/\/github\.com\/settings\/apps\/new\?state=./);
  expect(JSON.parse(text)).toMatchObject({
    name: 'slipway',
    public: false,
    url: 'https://ci.acme.example',
    hook_attributes: { url: 'https://ci.acme.example/api/github/webhooks', active: true },
    redirect_url: 'https://ci.acme.example/setup/done',
    default_events: expect.arrayContaining(['push']),
    default_permissions: expect.objectContaining({ checks: 'write' }),
  });
});

it.each([
  [null, null, 'https://github.com/settings/apps/new'],
  ['acme', null, 'https://github.com/organizations/acme/settings/apps/new'],
  ['a/../b?', null, 'https://github.com/organizations/a%2F..%2Fb%3F/settings/apps/new'],
  ['acme', 'ghe.example', 'https://ghe.example/organizations/acme/settings/apps/new'],
])('is registered by %s on %s', (organization, host, address) => {
  const { action } = createSetup({ ...options, host }).registration(organization);
  expect(action.split('?')[0]).toBe(address);
});

it('exchanges the code for credentials', async () => {
  nock(api).post('/app-manifests/c0de/conversions').reply(201, app);
  const setup = createSetup(options);
  expect(await setup.exchange('c0de', stateOf(setup.registration(null).action))).toEqual({
    appId: 123,
    slug: 'slipway-acme',
    privateKey: 'PEM',
    webhookSecret: 'shh',
    installUrl: 'https://github.com/apps/slipway-acme/installations/new',
  });
});

it.each([
  ['none', () => ''],
  ['an invented one', () => `${Date.now()}-abc-def`],
  ["another server's", () => stateOf(createSetup(options).registration(null).action)],
])('refuses a state that is not its own: %s', async (_what, state) => {
  await expect(createSetup(options).exchange('c0de', state())).rejects.toThrow(/did not start on this page/);
});

it('refuses a state after an hour', async () => {
  jest.useFakeTimers({ now: 0, doNotFake: ['nextTick', 'setImmediate'] });
  const setup = createSetup(options);
  const state = stateOf(setup.registration(null).action);
  jest.setSystemTime(3_600_001);
  await expect(setup.exchange('c0de', state)).rejects.toThrow(/too old/);
  jest.useRealTimers();
});

it('refuses a code that would lead elsewhere', async () => {
  const setup = createSetup(options);
  const state = stateOf(setup.registration(null).action);
  await expect(setup.exchange('../../user', state)).rejects.toThrow(/usual form/);
});

it.each([
  ['a code that was used', 404, {}, /works once/],
  ['an error', 500, {}, /answered 500/],
  ['an answer without credentials', 201, { id: 1 }, /no credentials/],
])('says what to do about %s', async (_what, status, body, message) => {
  nock(api).post('/app-manifests/c0de/conversions').reply(status, body);
  const setup = createSetup(options);
  await expect(setup.exchange('c0de', stateOf(setup.registration(null).action))).rejects.toThrow(message);
});
