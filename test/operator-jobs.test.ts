import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import type { HostAccess } from '#src/model/pipeline.ts';
import type { Repository } from '#src/model/repository.ts';
import { readOperator } from '#src/operator.ts';

const folder = mkdtempSync(join(tmpdir(), 'slipway-operator-jobs-'));
afterAll(() => rmSync(folder, { recursive: true }));

function policyOf(text: string) {
  const file = join(folder, 'operator.yml');
  writeFileSync(file, text);
  return readOperator(file, null).policy;
}

function repository(name: string): Repository {
  const [owner = '', rest = ''] = name.split('/');
  return { id: 1, owner, name: rest, defaultBranch: 'main', private: true, cloneUrl: '', installationId: 1 };
}

const none: HostAccess = { privileged: false, network: 'private', devices: [], volumes: [] };
const volume = (source: string) => [{ source, target: '/mnt', readOnly: true }];

describe('jobs in docs/operator.md', () => {
  const page = readFileSync(new URL('../docs/operator.md', import.meta.url), 'utf8');
  const example = /## Jobs[^]*?```yaml\n([^`]*)```/.exec(page)?.[1] ?? '';
  const policy = policyOf(example);
  const firmware = repository('acme/firmware');

  it.each<[string, Partial<HostAccess>]>([
    ['nothing', {}],
    ['no network', { network: 'none' }],
    ['privilege', { privileged: true }],
    ["the host's network", { network: 'host' }],
    ['a device', { devices: ['/dev/kvm'] }],
    ['devices', { devices: ['/dev/ttyUSB0', '/dev/kvm'] }],
    ['a folder', { volumes: volume('/srv/toolchains') }],
  ])('allow %s', (_what, asked) => {
    expect(policy.refuseAccess(firmware, { ...none, ...asked })).toBeNull();
  });

  it.each<[string, Partial<HostAccess>, string]>([
    ['another device', { devices: ['/dev/kvm', '/dev/sda'] }, 'devices: [/dev/sda]'],
    [
      'all that is too much at once',
      { privileged: true, network: 'host', devices: ['/dev/sda', '/dev/kvm', '/dev/sdb'], volumes: volume('/srv') },
      'devices: [/dev/sda, /dev/sdb] and volumes: [/srv]',
    ],
    ['a device by another path', { devices: ['/dev/../dev/kvm'] }, 'devices: [/dev/../dev/kvm]'],
    ['a folder within', { volumes: volume('/srv/toolchains/gcc') }, 'volumes: [/srv/toolchains/gcc]'],
    ['a folder above', { volumes: volume('/srv') }, 'volumes: [/srv]'],
    ['a way out', { volumes: volume('/srv/toolchains/../..') }, 'volumes: [/srv/toolchains/../..]'],
    ['the same with a slash', { volumes: volume('/srv/toolchains/') }, 'volumes: [/srv/toolchains/]'],
  ])('refuse %s, with the line that would allow it', (_what, asked, line) => {
    const refusal = policy.refuseAccess(firmware, { ...none, ...asked });
    expect(refusal).toContain('acme/firmware');
    expect(refusal).toContain(`An operator adds ${line} to repositories: acme/firmware: jobs.`);
  });

  it.each<Partial<HostAccess>>([
    { privileged: true },
    { network: 'host' },
    { devices: ['/dev/kvm'] },
    { volumes: volume('/srv/toolchains') },
  ])('refuse %j to every other repository', (asked) => {
    for (const name of ['acme/shop', 'acme2/firmware', 'evil/acme']) {
      expect(policy.refuseAccess(repository(name), { ...none, ...asked })).toContain(`${name}'s jobs may not have`);
    }
    expect(policyOf('repositories: {}').refuseAccess(firmware, { ...none, ...asked })).not.toBeNull();
  });

  it('name the runtime, and say who has an engine and whose credentials', () => {
    expect(policy.runtime(repository('acme/shop'))).toBe('runsc');
    expect(policy.runtime(repository('other/shop'))).toBeNull();
    expect(policy.refuseDocker(firmware)).toContain('docker: false');
    expect(policy.refuseDocker(repository('acme/shop'))).toBeNull();
    expect(policy.lendsRegistry(firmware, 'ghcr.io')).toBe(true);
    expect(policy.lendsRegistry(firmware, 'ghcr.io.evil.example')).toBe(false);
    expect(policy.lendsRegistry(repository('acme/shop'), 'ghcr.io')).toBe(false);
  });
});

describe('a mistake under jobs stops the start and is told with its place', () => {
  it.each([
    ['privileged: yes please', /operator\.yml:4:19: repositories\.acme\/shop\.jobs\.privileged/],
    ['priviledged: true', /operator\.yml:4:\d+: .*priviledged/],
    ['runtime: "runsc --debug"', /must be the name of a runtime of the engine/],
    ['devices: /dev/kvm', /operator\.yml:4:\d+: .*devices/],
    ['volumes: [""]', /volumes/],
  ])('%s', (line, message) => {
    expect(() => policyOf(`repositories:\n  acme/shop:\n    jobs:\n      ${line}\n`)).toThrow(message);
  });
});

it("the strictest word counts for strangers, whatever the entries' order", () => {
  const text = `
repositories:
  acme/*: { strangers: { approval: always, network: none } }
  acme/shop: { strangers: { approval: never, network: private } }
  other/*: { strangers: { approval: never } }
  other/shop: { strangers: { approval: first-time } }`;
  const policy = policyOf(text);
  expect(policy.strangers(repository('acme/shop'))).toEqual({ approval: 'always', network: 'none' });
  expect(policy.strangers(repository('other/shop'))).toEqual({ approval: 'first-time', network: 'private' });
  expect(policy.strangers(repository('third/shop'))).toEqual({ approval: 'always', network: 'private' });
});
