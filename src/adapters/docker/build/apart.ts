import { createHmac } from 'node:crypto';
import type { BuildRequest } from '#src/engine/ports.ts';
import { hasProxy } from './strange.ts';

/** What keeps the caches of builds apart: names that only those have who may share them. */
export interface Apart {
  /** A host's name that every instruction gets. */
  readonly layers: string;
  /** What stands before the ids of cache mounts. */
  readonly mounts: string;
}

/**
 * The engine keeps one cache of layers, in which an instruction with other secrets, or without them, is the same, and one
 * behind another proxy, too. A host name in /etc/hosts makes it another one, so that a stranger's layers, and those that
 * another repository made with its secrets or by its proxy, are never taken for these. Cache mounts (`RUN
 * --mount=type=cache`) outlive a build: those of repositories are apart, and so are those of strangers and of builds that
 * push nothing. `key` is the server's: a frontend of somebody's own could use any name that can be guessed.
 */
export function apart(key: Buffer, { build, repository, tags, trusted }: BuildRequest): Apart {
  const name = (text: string) => createHmac('sha256', key).update(text).digest('hex').slice(0, 32);
  const own = repository.toLowerCase();
  const shared = trusted && build.secrets === undefined && !hasProxy(build.args);
  const use = trusted ? (tags.length > 0 ? 'pushed' : 'built') : 'strange';
  return {
    layers: `slipway-${name(shared ? 'layers' : `layers ${own} ${trusted ? 'trusted' : 'strange'}`)}`,
    mounts: name(`mounts ${own} ${use}`),
  };
}
