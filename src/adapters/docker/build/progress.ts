import type { BuildStatus, Vertex } from './trace.ts';

interface Known {
  /** Shown as `#3`; 0 as long as it wasn't shown. */
  number: number;
  name: string;
  ended: boolean;
  bytes: Map<string, number>;
}

/**
 * Turns BuildKit's messages into a plain log: a line `#3 [2/4] RUN make` where an instruction starts, its
 * output as it is, and a line that says how it ended. Of instructions that run side by side each says again
 * who speaks. What BuildKit does for itself isn't shown.
 */
export class BuildProgress {
  readonly #write: (bytes: Buffer) => void;
  readonly #known = new Map<string, Known>();
  #shown = 0;
  /** Digest of the vertex whose output was written last. */
  #speaker = '';
  #midLine = false;
  #failed: Vertex | null = null;

  constructor(write: (bytes: Buffer) => void) {
    this.#write = write;
  }

  /** The instruction that failed first, if one did. */
  get failed(): Vertex | null {
    return this.#failed;
  }

  take(status: BuildStatus): void {
    for (const vertex of status.vertexes)
      if (vertex.startedAt !== null && !isInternal(vertex.name)) this.#start(vertex);
    for (const transfer of status.statuses) this.#known.get(transfer.vertex)?.bytes.set(transfer.id, transfer.bytes);
    for (const log of status.logs) this.#output(log.vertex, log.bytes);
    for (const vertex of status.vertexes) if (vertex.completedAt !== null) this.#end(vertex);
  }

  line(text: string): void {
    this.#write(Buffer.from(`${this.#midLine ? '\n' : ''}${text}\n`));
    this.#midLine = false;
    this.#speaker = '';
  }

  #start(vertex: Vertex): void {
    if (this.#known.has(vertex.digest)) return;
    this.#shown += 1;
    this.#known.set(vertex.digest, { number: this.#shown, name: vertex.name, ended: false, bytes: new Map() });
    this.line(`#${this.#shown} ${vertex.name}`);
    this.#speaker = vertex.digest;
  }

  #output(digest: string, bytes: Buffer): void {
    const known = this.#known.get(digest);
    if (!known || bytes.length === 0) return;
    if (this.#speaker !== digest) {
      this.line(`#${known.number} ${known.name} (goes on)`);
      this.#speaker = digest;
    }
    this.#write(bytes);
    this.#midLine = bytes.at(-1) !== 0x0a;
  }

  #end(vertex: Vertex): void {
    if (vertex.error !== '' && this.#failed === null && !vertex.error.includes('context canceled'))
      this.#failed = vertex;
    const known = this.#known.get(vertex.digest);
    if (!known || known.ended) return;
    known.ended = true;
    this.line(`#${known.number} ${ending(vertex, known)}`);
  }
}

function ending(vertex: Vertex, known: Known): string {
  if (vertex.error !== '') return `failed: ${vertex.error}`;
  if (vertex.cached) return 'cached';
  const seconds = ((vertex.completedAt ?? 0) - (vertex.startedAt ?? 0)) / 1000;
  const megabytes = [...known.bytes.values()].reduce((sum, bytes) => sum + bytes, 0) / 1e6;
  return `done, ${seconds.toFixed(1)} s${megabytes >= 0.1 ? `, ${megabytes.toFixed(1)} MB` : ''}`;
}

function isInternal(name: string): boolean {
  return name.startsWith('[internal]') || name === 'copy /context /';
}
