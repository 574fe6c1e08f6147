import type { Policy } from './ports.ts';

/** Allows everything; strangers wait all the same. For the command line and tests, with what is given instead. */
export function openPolicy(own: Partial<Policy> = {}): Policy {
  return {
    refusePush: () => null,
    refuseRollout: () => null,
    strangers: () => ({ approval: 'always', network: 'private' }),
    refuseAccess: () => null,
    runtime: () => null,
    refuseDocker: () => null,
    lendsRegistry: () => true,
    deployers: () => null,
    refuseProbe: () => null,
    refuseMetrics: () => null,
    refuseGitOps: () => null,
    previews: () => null,
    aliases: () => ({}),
    ...own,
  };
}
