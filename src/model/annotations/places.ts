import { WORKSPACE } from '#src/model/workspace.ts';
import type { Places } from './matcher.ts';

export interface PlacesOptions {
  /** Where the repository's root was while the job ran. Default `/workspace/`. */
  readonly workspace?: string;
  /** Folder that the job's commands run in, relative to the root. Relative paths begin there. */
  readonly workdir?: string | null;
  /** Whether the repository has such a file; where it's given, other paths are dropped. */
  readonly known?: (path: string) => boolean;
}

/** Where paths in a job's output lie. Outside of the repository and in installed dependencies: nowhere. */
export function placesOf(options: PlacesOptions = {}): Places {
  const workspace = `${withoutEnd(options.workspace ?? WORKSPACE)}/`;
  const workdir = withoutEnd((options.workdir ?? '').replace(/^\.?\/+/, ''));
  return {
    locate(path) {
      const local = path.startsWith('file://') ? path.slice('file://'.length) : path;
      if (local.startsWith('/')) return local.startsWith(workspace) ? accept(local.slice(workspace.length)) : null;
      const inWorkdir = workdir && workdir !== '.' ? accept(`${workdir}/${local}`) : null;
      return inWorkdir ?? accept(local);
    },
  };

  function accept(path: string): string | null {
    const parts = path.split('/').filter((part) => part !== '.' && part !== '');
    if (parts.length === 0 || path.length > 1024 || /\p{Cc}/u.test(path)) return null;
    if (parts.some((part) => part === '..' || dependencies.has(part))) return null;
    const clean = parts.join('/');
    return options.known && !options.known(clean) ? null : clean;
  }
}

/** Without slashes at the end. A regular expression would take time by the square of a row of them in the middle. */
function withoutEnd(path: string): string {
  let end = path.length;
  while (end > 0 && path[end - 1] === '/') end -= 1;
  return path.slice(0, end);
}

const dependencies = new Set(['node_modules', 'site-packages', 'dist-packages', '.git', '.venv', '.cargo']);
