import type { Logger } from 'pino';
import { nothingDeploys } from './adapters/fake/nothing.ts';
import type { GitHub } from './adapters/github/github.ts';
import { openProbes } from './adapters/http/probes.ts';
import { openCanaries } from './adapters/kubernetes/canaries.ts';
import { openClusters } from './adapters/kubernetes/clusters.ts';
import type { Parts } from './engine/parts.ts';
import type { Operator } from './operator.ts';

/** Everything by which deployments reach the world. */
export function openDeploying(
  operator: Operator,
  _github: Pick<GitHub, 'client'>,
  logger: Logger,
): Pick<Parts, 'cluster' | 'canaries' | 'probes' | 'previews' | 'gitops'> {
  const kubernetes = { clusters: operator.clusters, logger: logger.child({ part: 'kubernetes' }) };
  return {
    ...nothingDeploys,
    cluster: openClusters(kubernetes),
    canaries: openCanaries(kubernetes),
    probes: openProbes({ servers: operator.prometheus }),
  };
}
