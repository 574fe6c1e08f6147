import type { JobRequest } from '#src/engine/ports.ts';
import type { HostAccess } from '#src/model/pipeline.ts';
import { UserError } from '#src/model/outcome.ts';
import { JOBS_NETWORK } from './network.ts';
import type { Site } from './place.ts';

/** What a job's container reaches of the world around it. */
export interface Reach {
  readonly network: HostAccess['network'];
  /** What of the host, beside its network; null: nothing. */
  readonly access: Omit<HostAccess, 'network'> | null;
  /** Null: the engine's default. */
  readonly runtime: string | null;
  /** For the job's log, or null. */
  readonly note: string | null;
}

/** Whether a container that was started before its job was known will do. */
export function isPlain({ network, access, runtime }: Reach): boolean {
  return network === 'private' && access === null && runtime === null;
}

/** What the engine is to be told of the network: of the job's own where it has one. */
export function networkMode({ network }: Pick<Reach, 'network'>, own: string | null): string {
  return own ?? (network === 'private' ? JOBS_NETWORK : network);
}

/**
 * What the job may reach: what was allowed to it, but for a stranger no network that isn't guarded. UserError if it needs
 * what it can't have.
 */
export async function reachOf(site: Pick<Site, 'guard' | 'guardsBuilds'>, request: JobRequest): Promise<Reach> {
  const { network, ...rest } = request.access;
  const { runtime, services, trusted } = request;
  const access = rest.privileged || rest.devices.length + rest.volumes.length > 0 ? rest : null;
  if (!trusted && (access !== null || network === 'host')) {
    // The engine refuses it before; nothing may get around that.
    throw new UserError("A stranger's job may have nothing of the host: no privilege, device, volume or network.");
  }
  if (network === 'host' && services.length > 0) {
    throw new UserError(
      "A job on the host's network can't have services: they are found on the job's own network only. Remove `network: host` or the services.",
    );
  }
  if (network !== 'private') return { network, access, runtime, note: null };
  const unguarded = trusted ? await site.guard?.known() : await refusalOf(site, request);
  if (trusted || unguarded === null || unguarded === undefined) return { network, access, runtime, note: null };
  const why = explain(request, site);
  if (services.length > 0) {
    throw new UserError(
      `${why} It can't have services then, which are reached by a network. It can run after the merge.`,
    );
  }
  return { network: 'none', access, runtime, note: why };
}

function explain({ docker }: JobRequest, { guard, guardsBuilds }: Pick<Site, 'guard' | 'guardsBuilds'>): string {
  const who = 'This job comes from somebody without write permission and has no network';
  return docker !== null && guard !== null && !guardsBuilds
    ? `${who}, for it uses Docker, whose builds this server doesn't keep from the host's own. An operator may set SLIPWAY_GUARD_BRIDGES=docker0.`
    : `${who}, for this server can't keep it from the host's own. An operator finds the reason in the server's log.`;
}

async function refusalOf(
  { guard, guardsBuilds }: Pick<Site, 'guard' | 'guardsBuilds'>,
  { docker }: JobRequest,
): Promise<string | null> {
  if (guard === null) return 'this server sets no firewall rules';
  // BuildKit runs what it builds on the engine's own bridge.
  if (docker !== null && !guardsBuilds) return 'this server sets no firewall rules for builds';
  return guard.refusal();
}
