import { basename } from 'node:path';
import type { Repository } from '#src/model/repository.ts';

/** The folder that a person stands in, as a repository. */
export function localRepository(directory: string): Repository {
  return {
    id: 0,
    owner: 'local',
    name: basename(directory),
    defaultBranch: 'main',
    private: true,
    cloneUrl: directory,
    installationId: 0,
  };
}
