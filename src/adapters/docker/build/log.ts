import type { JobListener } from '#src/engine/ports.ts';
import { createMasker, maskText } from '#src/model/mask.ts';

/** The log of one build, masked, and its steps. */
export interface BuildLog {
  write(bytes: Buffer): void;
  line(text: string): void;
  /** A text for people without the secrets in it. */
  mask(text: string): string;
  /** Tells the listener that a step starts and ends: well if `work` answers something without a `failure`. */
  step<T extends object>(index: number, work: () => Promise<T>): Promise<T>;
  /** Writes what the masker held back. */
  close(): void;
}

export function openLog(secrets: readonly string[], listener: JobListener): BuildLog {
  let masker = createMasker(secrets);
  const emit = (bytes: Buffer) => {
    if (bytes.length > 0) listener.log(bytes);
  };
  const write = (bytes: Buffer) => emit(masker.push(bytes));
  const flush = () => {
    emit(masker.flush());
    masker = createMasker(secrets);
  };
  return {
    write,
    line: (text) => write(Buffer.from(`${text}\n`)),
    mask: (text) => maskText(text, secrets),
    async step(index, work) {
      listener.step({ kind: 'started', index, at: Date.now() });
      let exitCode = 1;
      try {
        const result = await work();
        exitCode = 'failure' in result ? 1 : 0;
        return result;
      } finally {
        flush();
        listener.step({ kind: 'finished', index, at: Date.now(), exitCode });
      }
    },
    close: flush,
  };
}
