import type { Logger } from 'pino';
import type { GitHub } from './adapters/github/github.ts';
import { createGitOps } from './adapters/github/gitops.ts';
import { openProbes } from './adapters/http/probes.ts';
import { openCanaries } from './adapters/kubernetes/canaries.ts';
import { openClusters } from './adapters/kubernetes/clusters.ts';
import { openPreviews } from './adapters/kubernetes/previews.ts';
import type { Parts } from './engine/parts.ts';
import type { Operator } from './operator.ts';

/** Everything by which deployments reach the world. */
export function openDeploying(
  operator: Operator,
  github: Pick<GitHub, 'client' | 'probot'>,
  logger: Logger,
): Pick<Parts, 'cluster' | 'canaries' | 'probes' | 'previews' | 'gitops'> {
  const kubernetes = { clusters: operator.clusters, logger: logger.child({ part: 'kubernetes' }) };
  return {
    cluster: openClusters(kubernetes),
    canaries: openCanaries(kubernetes),
    probes: openProbes({ servers: operator.prometheus }),
    previews: openPreviews(kubernetes),
    gitops: createGitOps(github),
  };
}
