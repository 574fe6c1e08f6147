import { type Duplex, Transform } from 'node:stream';
import { parse, TooLong } from './engine.ts';

/** Longest record of a stream of JSON values, bytes: BuildKit puts output of steps into one. */
const RECORD_LIMIT = 16 * 1024 * 1024;

/**
 * Connects two sockets after an upgrade, each direction with its own end: standard input may end long before the output
 * does. What breaks on one side ends the other. Resolves when both are closed.
 */
export async function joinSockets(client: Duplex, engine: Duplex): Promise<void> {
  const closed = [client, engine].map(
    (socket) => new Promise<void>((resolve) => socket.once('close', () => resolve())),
  );
  client.on('error', () => engine.destroy());
  engine.on('error', () => client.destroy());
  // Who closes has nothing more to say and hears nothing: what it said is still written.
  client.once('close', () => endThenDestroy(engine));
  engine.once('close', () => endThenDestroy(client));
  client.pipe(engine);
  engine.pipe(client);
  await Promise.all(closed);
}

function endThenDestroy(socket: Duplex): void {
  if (socket.writableFinished) return void socket.destroy();
  socket.once('finish', () => socket.destroy());
  socket.end();
}

/** A stream of JSON values, one a line, each as `change` makes it; null leaves it out. What is no JSON is left out too. */
export function eachRecord(change: (json: unknown) => unknown): Transform {
  let rest: Buffer[] = [];
  let size = 0;
  const line = (bytes: Buffer): string => {
    const text = bytes.toString('utf8').trim();
    const json = text === '' ? null : parse(text);
    const changed = json === null ? null : change(json);
    return changed === null || changed === undefined ? '' : `${JSON.stringify(changed)}\n`;
  };
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      let from = 0;
      let out = '';
      for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, from)) {
        out += line(Buffer.concat([...rest, chunk.subarray(from, at)]));
        rest = [];
        size = 0;
        from = at + 1;
      }
      if (from < chunk.length) {
        rest.push(chunk.subarray(from));
        size += chunk.length - from;
      }
      if (size > RECORD_LIMIT) return done(new TooLong(RECORD_LIMIT));
      done(null, out === '' ? undefined : out);
    },
    flush(done) {
      const out = line(Buffer.concat(rest));
      done(null, out === '' ? undefined : out);
    },
  });
}
