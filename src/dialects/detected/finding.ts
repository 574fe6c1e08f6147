import type { ImageJobSpec, ScriptJobSpec } from '#src/model/pipeline.ts';

/** What a detector looks at. */
export interface Look {
  /** True if the repository has the file at its top. */
  has(path: string): boolean;
  /** Contents of a file that the detector asked for, or '' if there is no such file. */
  text(path: string): string;
}

/** Knows one kind of project. */
export interface Detector {
  /** The files that it wants to read, if they are there. */
  readonly reads: readonly string[];
  /** The jobs it would run; none if this is no such project. */
  find(look: Look): readonly (ScriptJobSpec | ImageJobSpec)[];
}

/** A job with the commands, one step each. `file` is where it was found. */
export function commands(id: string, file: string, image: string, run: readonly string[]): ScriptJobSpec {
  return {
    kind: 'script',
    id,
    name: null,
    needs: [],
    if: null,
    matrix: null,
    continueOnError: false,
    timeoutMinutes: 60,
    retries: 0,
    concurrency: null,
    at: { file, line: 1, column: 1 },
    image,
    steps: run.map((script) => ({ name: script, script })),
    env: {},
    workdir: null,
    shell: 'sh',
    services: [],
    artifacts: [],
    reports: { junit: [] },
  };
}

/** `22.4.1`, `22` or the least that `>=22 <25` allows, in as many parts as are wanted; null if there is no number. */
export function versionIn(text: string, parts: number): string | null {
  const found = /\d+(?:\.\d+)*/.exec(text)?.[0];
  return found ? found.split('.').slice(0, parts).join('.') : null;
}
