import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { appCredentials, readSettings, settingsTable } from '#src/settings.ts';
import { unknownSettings } from '#src/unknown-settings.ts';
import { envExample, settingsPage } from '#src/settings-docs.ts';

const key = '-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\n';

describe('readSettings', () => {
  it('has defaults for everything', () => {
    const settings = readSettings({});
    expect(settings).toMatchObject({
      APP_ID: null,
      PORT: 3000,
      WEBHOOK_PATH: '/api/github/webhooks',
      GHE_PROTOCOL: 'https',
      LOG_LEVEL: 'info',
      DOCKER_HOST: 'unix:///var/run/docker.sock',
    });
    expect(settings.SLIPWAY_MAX_JOBS).toBeGreaterThanOrEqual(2);
  });

  it('takes empty and blank variables as missing', () => {
    expect(readSettings({ PORT: ' ', APP_ID: '' })).toMatchObject({ PORT: 3000, APP_ID: null });
  });

  it.each([
    ['PORT', '8080', 8080],
    ['APP_ID', '4294967297', 4294967297],
    ['SLIPWAY_JOB_MEMORY', '512m', 512 * 1024 ** 2],
    ['SLIPWAY_JOB_MEMORY', '1.5g', 1.5 * 1024 ** 3],
    ['SLIPWAY_JOB_MEMORY', '2GiB', 2 * 1024 ** 3],
    ['SLIPWAY_JOB_CPUS', '0.5', 0.5],
    ['SLIPWAY_JOB_DENY', '10.0.0.0/8, fd12::/16,192.0.2.1', ['10.0.0.0/8', 'fd12::/16', '192.0.2.1/32']],
    ['SLIPWAY_GUARD_BRIDGES', 'docker0', ['docker0']],
    ['SLIPWAY_WARM', '0', 0],
    ['SLIPWAY_URL', 'https://ci.example/', 'https://ci.example'],
    ['LOG_LEVEL', 'WARN', 'warn'],
    ['PRIVATE_KEY', key.replaceAll('\n', '\\n'), key],
    ['PRIVATE_KEY', Buffer.from(key).toString('base64'), key],
    ['PRIVATE_KEY', key, key],
  ])('%s=%j is %j', (name, value, expected) => {
    expect(readSettings({ [name]: value })[name as 'PORT']).toEqual(expected);
  });

  it.each([
    ['PORT', '70000'],
    ['PORT', 'http'],
    ['APP_ID', '0'],
    ['APP_ID', 'abc'],
    ['GHE_HOST', 'https://ghe.example'],
    ['GHE_PROTOCOL', 'ftp'],
    ['WEBHOOK_PATH', 'hooks'],
    ['LOG_LEVEL', 'loud'],
    ['SLIPWAY_URL', 'ci.example'],
    ['SLIPWAY_JOB_MEMORY', '1k'],
    ['SLIPWAY_JOB_MEMORY', 'much'],
    ['SLIPWAY_JOB_CPUS', '-1'],
    ['SLIPWAY_JOB_DENY', 'lan'],
    ['SLIPWAY_JOB_DENY', '10.0.0.0/33'],
    ['SLIPWAY_JOB_DENY', '10.0.0.0/8 -j ACCEPT'],
    ['SLIPWAY_GUARD_BRIDGES', 'docker0; reboot'],
    ['SLIPWAY_TOKEN', 'short'],
    ['DOCKER_HOST', '/var/run/docker.sock'],
    ['PRIVATE_KEY', 'nonsense'],
    ['PRIVATE_KEY_PATH', '/nonexistent/key.pem'],
  ])('%s=%j is refused in one sentence that names it', (name, value) => {
    const message = thrown(() => readSettings({ [name]: value }));
    expect(message).toMatch(new RegExp(`^${name} .*\\.$`));
    expect(message).not.toContain('\n');
  });

  it('never repeats the value of a secret', () => {
    expect(thrown(() => readSettings({ PRIVATE_KEY: 'hunter2hunter2' }))).not.toContain('hunter2');
    expect(thrown(() => readSettings({ SLIPWAY_TOKEN: 'hunter2' }))).not.toContain('hunter2');
  });
});

describe('appCredentials', () => {
  it('is null without an App', () => {
    expect(appCredentials(readSettings({}))).toBeNull();
  });

  it('takes the key from either setting', () => {
    expect(appCredentials(readSettings({ APP_ID: '7', PRIVATE_KEY: key, WEBHOOK_SECRET: 's' }))).toEqual({
      appId: 7,
      privateKey: key,
      webhookSecret: 's',
    });
  });

  it.each([
    [{ APP_ID: '7' }, 'PRIVATE_KEY_PATH'],
    [{ APP_ID: '7', PRIVATE_KEY: key }, 'WEBHOOK_SECRET'],
  ])('%j names what is missing', (env, name) => {
    expect(thrown(() => appCredentials(readSettings(env)))).toContain(name);
  });
});

it.each([
  ['docs/settings.md', settingsPage],
  ['.env.example', envExample],
])('%s is derived and lists every setting', (file, derive) => {
  const text = readFileSync(new URL(`../${file}`, import.meta.url), 'utf8');
  expect(text).toBe(derive());
  for (const name of Object.keys(settingsTable)) expect(text).toContain(name);
});

function thrown(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('nothing was thrown');
}

it('tells which variables look like settings and are none, and which were meant', () => {
  const env = { SLIPWAY_MAX_JOB: '3', SLIPWAY_NONSENSE_AT_ALL: '1', SLIPWAY_HOME: '/x', SLIPWAY_SHA: 'a', PATH: '/' };
  expect(unknownSettings(env)).toEqual([
    'SLIPWAY_MAX_JOB is no setting, and is ignored. Did you mean SLIPWAY_MAX_JOBS?',
    'SLIPWAY_NONSENSE_AT_ALL is no setting, and is ignored. docs/settings.md lists the settings.',
  ]);
});
