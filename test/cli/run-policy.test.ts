import { expect, it } from '@jest/globals';
import { localPolicy } from '#src/cli/run.ts';
import type { HostAccess } from '#src/model/pipeline.ts';
import type { Repository } from '#src/model/repository.ts';

const repository: Repository = {
  id: 0,
  owner: 'local',
  name: 'shop',
  defaultBranch: 'main',
  private: true,
  cloneUrl: '',
  installationId: 0,
};
const none: HostAccess = { privileged: false, network: 'private', devices: [], volumes: [] };

it.each<[Partial<HostAccess>, string]>([
  [{ privileged: true }, 'privileged: true'],
  [{ network: 'host' }, 'network: host'],
  [{ devices: ['/dev/kvm'] }, '/dev/kvm'],
  [{ volumes: [{ source: '/etc', target: '/x', readOnly: true }] }, '/etc'],
])('slipway run gives %j only if --allow-host says so', (asked, named) => {
  const access = { ...none, ...asked };
  const refusal = localPolicy(false).refuseAccess(repository, access);
  expect(refusal).toContain(named);
  expect(refusal).toContain('--allow-host');
  expect(localPolicy(true).refuseAccess(repository, access)).toBeNull();
});

it('slipway run gives what needs nothing of the host', () => {
  expect(localPolicy(false).refuseAccess(repository, none)).toBeNull();
  expect(localPolicy(false).refuseAccess(repository, { ...none, network: 'none' })).toBeNull();
});
