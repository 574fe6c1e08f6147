import { join } from 'node:path';
import type { Cache, Clock, ImageBuilder } from '#src/engine/ports.ts';
import { openImageBuilder } from './build/index.ts';
import type { CredentialsOf } from './build/registry-name.ts';
import { connectDocker } from './connection.ts';
import type { JobLimits } from './container.ts';
import type { GuardSettings } from './guard.ts';
import { type DockerExecutor, openDockerExecutor } from './executor.ts';
import type { Logger } from './place.ts';
import { openPulledImages } from './pulled.ts';

export interface DockerSettings {
  /** `unix:///path` or `tcp://host:port`. */
  readonly dockerHost: string;
  /** The server's data folder. */
  readonly home: string;
  readonly limits: Partial<JobLimits>;
  /** Containers kept started ahead, in all; 0: none. */
  readonly warm: number;
  readonly credentials: CredentialsOf;
  /** True if there are credentials of any registry. Default: false. */
  readonly hasAccounts?: boolean;
  /** A secret of the server's, by which the caches of builds are kept apart. Default: none. */
  readonly buildKey?: Buffer;
  /** Keeps jobs from the host's network by its firewall; null: nothing does. */
  readonly guard: GuardSettings | null;
  /** Bytes of the disk that jobs may not use up; null: no such limit. */
  readonly reserve: number | null;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** What runs jobs and builds images on one engine. Connects when it is first used. */
export function openDockerParts(settings: DockerSettings): {
  readonly executor: DockerExecutor;
  readonly builder: ImageBuilder;
  /** The images that were pulled for jobs, and what builds left. */
  readonly images: Cache;
} {
  const {
    dockerHost,
    home,
    limits,
    warm,
    credentials,
    hasAccounts = false,
    buildKey,
    guard,
    reserve,
    logger,
    clock,
  } = settings;
  const docker = connectDocker(dockerHost);
  const pulled = openPulledImages({ docker, file: join(home, 'pulled.json'), now: () => clock.now() });
  const uses = {
    pulled: (name: string) => void pulled.then((images) => images.pulled(name)),
    used: (name: string) => void pulled.then((images) => images.used(name)),
  };
  const executor = openDockerExecutor({
    docker,
    home,
    limits,
    warm,
    credentialsOf: credentials,
    uses,
    guard,
    reserve,
    logger,
    clock,
  });
  const builder = openImageBuilder({
    docker,
    credentialsOf: credentials,
    hasAccounts,
    ...(buildKey ? { key: buildKey } : {}),
    openArchive: executor.openArchive,
    unguarded: executor.unguardedBuilds,
  });
  return { executor, builder, images: { clean: async (keep) => (await pulled).clean(keep) } };
}
