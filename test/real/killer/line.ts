import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Stands between a server and its engine. */
export interface Line extends AsyncDisposable {
  /** For DOCKER_HOST. */
  readonly host: string;
  /** From now on no byte passes, and nothing is closed. */
  hang(): void;
  /** New connections work again; those that hung break, as when the engine is started again. */
  mend(): void;
}

export async function openLine(target: string): Promise<Line> {
  const folder = await mkdtemp(join(tmpdir(), 'sw-line-'));
  const socket = join(folder, 'docker.sock');
  const open = new Set<Socket>();
  let hanging = false;
  // Half-open: an attached client may have said all that it has to say.
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ path: target, allowHalfOpen: true });
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(from);
      from.on('error', () => to.destroy());
      from.on('close', () => {
        open.delete(from);
        to.destroy();
      });
    }
    if (hanging) return;
    near.pipe(far);
    far.pipe(near);
  });
  server.listen(socket);
  await once(server, 'listening');
  return {
    host: `unix://${socket}`,
    hang() {
      hanging = true;
      for (const each of open) each.unpipe().pause();
    },
    mend() {
      hanging = false;
      for (const each of open) each.destroy();
    },
    async [Symbol.asyncDispose]() {
      for (const each of open) each.destroy();
      server.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
