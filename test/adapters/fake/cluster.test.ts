import { setTimeout as sleep } from 'node:timers/promises';
import { FakeCluster, type FakeStep, fakeTrouble } from '#src/adapters/fake/cluster.ts';
import { clusterContract, images } from '#test/contracts/cluster.ts';

const stuck = { updated: 1, replicas: 3 };
const behaviours: Record<string, readonly FakeStep[]> = {
  [images.crash]: [
    {
      afterMs: 1,
      ...stuck,
      troubles: [fakeTrouble({ kind: 'crash', reason: 'CrashLoopBackOff', restarts: 3, exitCode: 1 })],
    },
  ],
  [images.missing]: [{ afterMs: 1, ...stuck, troubles: [fakeTrouble({ kind: 'image', reason: 'ErrImagePull' })] }],
};

clusterContract('FakeCluster', async () => ({
  cluster: new FakeCluster({
    workloads: [{ name: 'shop/api', image: images.old, containers: ['api'] }],
    behave: (image) => behaviours[image] ?? [{ afterMs: 1, ...stuck }, { afterMs: 1 }],
    log: 'starting\nfatal: boom',
    sleep: async (ms) => {
      await sleep(ms);
    },
  }),
  close: async () => {},
}));
