import type { Canaries, GitOps, PreviewCluster, Probes } from '#src/engine/ports-deploy.ts';
import { PlatformError } from '#src/model/outcome.ts';

/** For whoever deploys nothing: every call fails. */
export const nothingDeploys: {
  readonly canaries: Canaries;
  readonly probes: Probes;
  readonly previews: PreviewCluster;
  readonly gitops: GitOps;
} = {
  canaries: refusing<Canaries>(),
  probes: refusing<Probes>(),
  previews: refusing<PreviewCluster>(),
  gitops: refusing<GitOps>(),
};

function refusing<T extends object>(): T {
  return new Proxy({} as T, {
    get: (_target, name) => () => Promise.reject(new PlatformError(`Nothing is set up here for "${String(name)}".`)),
  });
}
