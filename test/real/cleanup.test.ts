import { chmod, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import Docker from 'dockerode';
import { emptyByContainer } from '#src/adapters/docker/cleanup.ts';
import { ensureImage } from '#dev/images/index.ts';

it('empties a folder by a container, follows no link, and leaves no container', async () => {
  const image = await ensureImage('slipway-dev/busybox');
  const folder = await mkdtemp(join(tmpdir(), 'slipway-cleanup-'));
  const outside = await mkdtemp(join(tmpdir(), 'slipway-outside-'));
  const docker = new Docker();
  const label = { 'slipway.test': folder };
  try {
    await writeFile(join(outside, 'kept'), '');
    await mkdir(join(folder, 'workspace', '.hidden', '-rf'), { recursive: true });
    await writeFile(join(folder, 'workspace', '..two'), '');
    await writeFile(join(folder, '..three'), '');
    await symlink(outside, join(folder, 'link'));
    await chmod(join(folder, 'workspace'), 0o500);
    await emptyByContainer(docker, image, folder, label);
    expect(await readdir(folder)).toEqual([]);
    expect(await readdir(outside)).toEqual(['kept']);
    const filters = { label: [`slipway.test=${folder}`] };
    expect(await docker.listContainers({ all: true, filters })).toEqual([]);
  } finally {
    await rm(folder, { recursive: true, force: true });
    await rm(outside, { recursive: true, force: true });
  }
});
