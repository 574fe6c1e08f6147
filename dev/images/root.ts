import { execFileSync } from 'node:child_process';
import { createReadStream, readdirSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type Pack, pack as openPack } from 'tar-stream';

type Entry =
  | { readonly kind: 'folder'; readonly mode: number }
  | { readonly kind: 'link'; readonly target: string }
  | { readonly kind: 'text'; readonly text: string; readonly mode: number }
  | { readonly kind: 'copy'; readonly source: string; readonly mode: number };

/** A root file system in the making. Paths are absolute inside of it. */
export class Root {
  readonly #entries = new Map<string, Entry>();

  folder(path: string, mode = 0o755): void {
    this.#entries.set(path, { kind: 'folder', mode });
  }

  link(path: string, target: string): void {
    this.#entries.set(path, { kind: 'link', target });
  }

  text(path: string, text: string, mode = 0o644): void {
    this.#entries.set(path, { kind: 'text', text, mode });
  }

  copy(source: string, path: string, mode?: number): void {
    this.#entries.set(path, { kind: 'copy', source, mode: mode ?? statSync(source).mode & 0o777 });
  }

  copyTree(source: string, path: string): void {
    for (const entry of readdirSync(source, { withFileTypes: true })) {
      const from = join(source, entry.name);
      const to = join(path, entry.name);
      if (entry.isDirectory()) this.copyTree(from, to);
      else if (entry.isSymbolicLink()) this.link(to, readlinkSync(from));
      else if (entry.isFile()) this.copy(from, to);
    }
  }

  /** A program of this machine with the shared libraries that it loads. */
  program(source: string, path: string): void {
    this.copy(realpathSync(source), path, 0o755);
    this.libraries(source);
  }

  libraries(source: string): void {
    const output = execFileSync('ldd', [source], { encoding: 'utf8', timeout: 10_000 });
    for (const [, library] of output.matchAll(/(?:^|\s)(\/\S+) \(0x/gm))
      if (library) this.copy(realpathSync(library), library, 0o755);
  }

  pack(): Pack {
    const stream = openPack();
    this.#write(stream).then(
      () => stream.finalize(),
      (error: Error) => stream.destroy(error),
    );
    return stream;
  }

  async #write(stream: Pack): Promise<void> {
    for (const [path, entry] of this.#entries) {
      const name = path.slice(1);
      if (entry.kind === 'folder') stream.entry({ name, type: 'directory', mode: entry.mode });
      else if (entry.kind === 'link') stream.entry({ name, type: 'symlink', linkname: entry.target });
      else if (entry.kind === 'text') stream.entry({ name, mode: entry.mode }, entry.text);
      else {
        const { size } = statSync(entry.source);
        await pipeline(createReadStream(entry.source), stream.entry({ name, size, mode: entry.mode }));
      }
    }
  }
}
