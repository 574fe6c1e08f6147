import type { Policy } from '#src/engine/ports.ts';
import type { Repository } from '#src/model/repository.ts';

type DeployPolicy = Pick<
  Policy,
  'deployers' | 'refuseProbe' | 'refuseMetrics' | 'refuseGitOps' | 'previews' | 'aliases'
>;

/** What the operator's file says of deployments beyond workloads, as answers. */
export function deployPolicy(_rulesFor: (repository: Repository) => readonly object[]): DeployPolicy {
  return {
    deployers: () => null,
    refuseProbe: () => 'not yet',
    refuseMetrics: () => 'not yet',
    refuseGitOps: () => 'not yet',
    previews: () => null,
    aliases: () => ({}),
  };
}
