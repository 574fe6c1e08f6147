import { appendFileSync } from 'node:fs';
import Docker from 'dockerode';
import { openDockerExecutor } from '#src/adapters/docker/executor.ts';
import type { JobRequest } from '#src/engine/ports.ts';

/**
 * A server that will be killed: node executor-child.ts SETTINGS runs one job and writes its log to a file. It kills
 * itself without warning at the moment that is named.
 */
export interface ChildSettings {
  readonly home: string;
  readonly socket: string;
  readonly tree: string;
  readonly log: string;
  readonly request: JobRequest;
  /** `tree`: as soon as the container waits for it. `begin`: before `go`. `step N`, `done N`: when it is told. `end`: with the result. */
  readonly die: string;
}

const settings = JSON.parse(process.argv[2] ?? '') as ChildSettings;
const at = (moment: string) => {
  if (settings.die === moment) process.kill(process.pid, 'SIGKILL');
};
let size = 0;
const executor = openDockerExecutor({
  docker: new Docker({ socketPath: settings.socket }),
  home: settings.home,
  warm: 0,
  credentialsOf: () => null,
  logger: { debug() {}, info() {}, warn() {} },
  clock: { now: Date.now },
});
const silent = new AbortController().signal;
const never = new Promise<never>(() => {});
const tree = { path: settings.tree, [Symbol.asyncDispose]: async () => {} };
if (settings.die === 'tree') setTimeout(() => at('tree'), 1500);
await executor.run(
  // Functions don't come as JSON.
  settings.request.docker
    ? { ...settings.request, docker: { refusePush: () => null, mayUse: () => false } }
    : settings.request,
  settings.die === 'tree' ? never : Promise.resolve(tree),
  {
    begin() {
      at('begin');
      return size;
    },
    async rewind() {},
    log(bytes) {
      appendFileSync(settings.log, bytes);
      size += bytes.length;
    },
    step: (step) => at(`${step.kind === 'started' ? 'step' : 'done'} ${step.index}`),
  },
  { cancel: silent, leave: silent },
);
at('end');
await executor.close();
