import type { Clock, ImageBuilder } from '#src/engine/ports.ts';
import { openImageBuilder } from './build/index.ts';
import type { CredentialsOf } from './build/registry-name.ts';
import { connectDocker } from './connection.ts';
import type { JobLimits } from './container.ts';
import { type DockerExecutor, openDockerExecutor } from './executor.ts';
import type { Logger } from './place.ts';

export interface DockerSettings {
  /** `unix:///path` or `tcp://host:port`. */
  readonly dockerHost: string;
  /** The server's data folder. */
  readonly home: string;
  readonly limits: Partial<JobLimits>;
  /** Containers kept started ahead, in all; 0: none. */
  readonly warm: number;
  readonly credentials: CredentialsOf;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** What runs jobs and builds images on one engine. Connects when it is first used. */
export function openDockerParts(settings: DockerSettings): {
  readonly executor: DockerExecutor;
  readonly builder: ImageBuilder;
} {
  const { dockerHost, home, limits, warm, credentials, logger, clock } = settings;
  const docker = connectDocker(dockerHost);
  const executor = openDockerExecutor({ docker, home, limits, warm, credentialsOf: credentials, logger, clock });
  const builder = openImageBuilder({ docker, credentialsOf: credentials, openArchive: executor.openArchive });
  return { executor, builder };
}
