import { expect, it } from '@jest/globals';
import type { Store } from '#src/engine/store.ts';
import type { DeploymentRecord } from '#src/engine/store-deployments.ts';

/** The part of the Store's contract that is about images, deployments, audit records and what was told. */
export function recordsContract(current: () => Store): void {
  const repositoryId = 8_589_934_593;
  const deployment = (id: string, createdAt: number, state: DeploymentRecord['state']): DeploymentRecord => ({
    id,
    repositoryId,
    repository: 'acme/shop',
    environment: 'staging',
    sha: 'a'.repeat(40),
    runId: 'r',
    jobId: `job-${id}`,
    actor: 'ada',
    state,
    description: 'Rollt aus …',
    changes: [{ workload: 'deployment shop/api', before: null, after: 'ghcr.io/acme/shop@sha256:1' }],
    createdAt,
    updatedAt: createdAt,
    patchedAt: createdAt + 1,
    details: {},
  });

  it('remembers the image that a job made of a commit, the last one of each', async () => {
    const { images } = current();
    const image = {
      repositoryId,
      sha: 'a'.repeat(40),
      job: 'image',
      image: 'ghcr.io/acme/shop@sha256:1',
      tags: ['v1', 'ghcr.io/acme/shop:v1'],
      at: 1000,
    };
    await images.record(image);
    expect(await images.find(repositoryId, image.sha, 'image')).toEqual(image);
    await images.record({ ...image, image: 'ghcr.io/acme/shop@sha256:2', tags: [], at: 2000 });
    expect(await images.find(repositoryId, image.sha, 'image')).toMatchObject({
      image: 'ghcr.io/acme/shop@sha256:2',
      tags: [],
    });
    expect(await images.find(repositoryId, image.sha, 'other')).toBeNull();
    expect(await images.find(1, image.sha, 'image')).toBeNull();
  });

  it('keeps deployments and lists them newest first', async () => {
    const { deployments } = current();
    const first = deployment('z', 1000, 'queued');
    await deployments.save(first);
    await deployments.save({ ...first, state: 'success', description: 'Healthy', updatedAt: 1500 });
    await deployments.save(deployment('b', 2000, 'failure'));
    await deployments.save({ ...deployment('c', 2000, 'queued'), environment: 'production' });
    await deployments.save({ ...deployment('d', 3000, 'queued'), repositoryId: 1 });
    const list = async (environment: string | null, limit: number) =>
      (await deployments.list(repositoryId, environment, limit)).map((d) => d.id);
    expect(await list(null, 10)).toEqual(['c', 'b', 'z']);
    expect(await list('staging', 1)).toEqual(['b']);
    expect(await deployments.ofJob('job-z')).toEqual({
      ...first,
      state: 'success',
      description: 'Healthy',
      updatedAt: 1500,
    });
    expect(await deployments.ofJob('unknown')).toBeNull();
  });

  it('knows the last healthy deployment before another', async () => {
    const { deployments } = current();
    await deployments.save(deployment('d', 1000, 'inactive'));
    await deployments.save(deployment('c', 2000, 'success'));
    await deployments.save(deployment('b', 2000, 'error'));
    await deployments.save(deployment('a', 3000, 'success'));
    await deployments.save(deployment('0', 4000, 'in_progress'));
    const last = async (before: string | null) =>
      (await deployments.lastHealthy(repositoryId, 'staging', before))?.id ?? null;
    expect(await last(null)).toBe('a');
    expect(await last('0')).toBe('a');
    expect(await last('a')).toBe('c');
    expect(await last('c')).toBe('d');
    expect(await last('d')).toBeNull();
    expect(await deployments.lastHealthy(repositoryId, 'production', null)).toBeNull();
  });

  it('appends to the audit log and lists it newest first', async () => {
    const { audit } = current();
    const record = (subject: string, repository: string) => ({
      at: 1000,
      actor: 'ada',
      action: 'deploy',
      repository,
      subject,
      decision: 'refused' as const,
      reason: 'write permission is missing — „read“ only',
    });
    for (let i = 0; i < 5; i += 1) await audit.append(record(`${i}`, i === 3 ? 'acme/other' : 'acme/shop'));
    expect((await audit.list('acme/shop', 3)).map((r) => r.subject)).toEqual(['4', '2', '1']);
    expect((await audit.list(null, 10))[0]).toEqual(record('4', 'acme/shop'));
  });

  it('remembers what was told', async () => {
    const { told } = current();
    expect(await told.get('check:1')).toBeNull();
    await told.set('check:1', '{"a":1}');
    await told.set('check:1', '{"a":2}');
    await told.set('check:2', '');
    expect(await told.get('check:1')).toBe('{"a":2}');
    expect(await told.get('check:2')).toBe('');
    await told.set('check:22', 'x');
    await told.remove('check:2');
    expect([await told.get('check:1'), await told.get('check:2'), await told.get('check:22')]).toEqual([
      '{"a":2}',
      null,
      null,
    ]);
  });
}
