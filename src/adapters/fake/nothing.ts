import type { Canaries, GitOps, PreviewCluster, Probes } from '#src/engine/ports-deploy.ts';
import { PlatformError } from '#src/model/outcome.ts';

/** For whoever deploys nothing: every call fails. */
export const nothingDeploys: {
  readonly canaries: Canaries;
  readonly probes: Probes;
  readonly previews: PreviewCluster;
  readonly gitops: GitOps;
} = {
  canaries: refusing() as Canaries,
  probes: refusing() as Probes,
  previews: refusing() as PreviewCluster,
  gitops: refusing() as GitOps,
};

function refusing(): object {
  return new Proxy(
    {},
    {
      get: (_target, name) => () =>
        Promise.reject(new PlatformError(`Nothing is set up here for "${String(name)}".`, { retry: 'never' })),
    },
  );
}
