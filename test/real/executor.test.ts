import Docker from 'dockerode';
import { executorContract } from '#test/contracts/executor.ts';
import { bashImage, gnuImage, openSite } from './docker.ts';

for (const [name, imageOf, workspace] of [
  ['Docker with mounted workspaces and GNU tools', gnuImage, 'auto'],
  ['Docker with copied workspaces and busybox', bashImage, 'copy'],
] as const) {
  executorContract(name, async () => {
    const site = await openSite();
    return {
      executor: site.open({ workspace, warm: workspace === 'auto' ? 2 : 0 }),
      image: await imageOf(),
      tree: site.tree,
      down: site.open({ docker: new Docker({ socketPath: '/nonexistent/docker.sock' }) }),
      dispose: () => site.dispose(),
    };
  });
}
