import { uptime } from 'node:os';
import type { Clock, JobListener } from '#src/engine/ports.ts';
import { createMasker, maskText } from '#src/model/mask.ts';
import type { StepSpec } from '#src/model/pipeline.ts';
import { createMarkParser } from './markers.ts';

/** What a job's stream has told so far. */
export interface JobOutput {
  /** Bytes as the container wrote them. */
  feed(bytes: Buffer): void;
  /** A line of the server's own. */
  readonly say: (line: string) => void;
  /** The text without secrets, for reasons. */
  mask(text: string): string;
  /** Words of the next mark with this name. */
  mark(name: string): Promise<readonly string[]>;
  /** Settled by the mark `end`. */
  readonly ended: Promise<void>;
  readonly state: {
    /** Step that is under way or failed, or null. */
    readonly step: number | null;
    readonly done: { readonly code: number; readonly oomKills: number } | null;
    /** The job read what it was to do. */
    readonly hasBegun: boolean;
    readonly hasEnded: boolean;
    /** The inputs couldn't be unpacked. */
    readonly inputsFailed: boolean;
    /** Names of what couldn't be packed. */
    readonly unpacked: ReadonlySet<string>;
    /** Bytes of log so far. */
    readonly size: number;
  };
  /** Ends the step that is under way and writes what is held back. Nothing is told afterwards. */
  close(exitCode: number | null): void;
}

export interface OutputRequest {
  readonly nonce: string;
  readonly secrets: readonly string[];
  readonly steps: readonly StepSpec[];
  readonly listener: JobListener;
  readonly clock: Clock;
}

/** What an image's shell may say before it is told to begin, bytes. */
const LONGEST_PREFACE = 64 * 1024;
/** A time told by a mark that just came is no better than the clock, milliseconds. */
const LIVE = 50;

/**
 * Takes marks out of a job's stream, masks the rest, and tells the listener in order. The same stream is told in the
 * same words, however it is cut, so that it can be told again. What comes before the mark `begun` is told with it.
 */
export function createOutput({ nonce, secrets, steps, listener, clock }: OutputRequest): JobOutput {
  const marks = createMarkParser(nonce);
  const masker = createMasker(secrets);
  const waiting = new Map<string, (words: readonly string[]) => void>();
  let end = () => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  let lineOpen = false;
  let closed = false;
  let preface: Buffer = Buffer.alloc(0);
  let latest = 0;
  const state = {
    step: null as number | null,
    done: null as { code: number; oomKills: number } | null,
    hasBegun: false,
    hasEnded: false,
    inputsFailed: false,
    unpacked: new Set<string>(),
    size: 0,
  };
  let running = false;

  function emit(bytes: Buffer): void {
    if (bytes.length === 0) return;
    lineOpen = bytes.at(-1) !== 0x0a;
    listener.log(bytes);
  }

  /** A text of the server's begins on a line of its own. */
  function say(text: string): void {
    if (closed) return;
    emit(masker.flush());
    if (lineOpen) emit(Buffer.from('\n'));
    emit(masker.push(Buffer.from(`${text}\n`)));
  }

  /** When a mark was made, which may have been long ago: told by the machine's uptime in it, if the shell could read it. */
  function timeOf(seconds: string | undefined): number {
    const ago = Math.round((uptime() - Number.parseFloat(seconds ?? '')) * 1000);
    latest = Math.max(latest, clock.now() - (ago > LIVE ? ago : 0));
    return latest;
  }

  function finishStep(exitCode: number, at: number): void {
    if (!running || state.step === null) return;
    emit(masker.flush());
    running = false;
    listener.step({ kind: 'finished', index: state.step, at, exitCode });
  }

  function begin(): void {
    if (state.hasBegun) return;
    state.hasBegun = true;
    emit(masker.push(preface));
    preface = Buffer.alloc(0);
  }

  function onText(bytes: Buffer): void {
    if (state.hasBegun) emit(masker.push(bytes));
    else preface = Buffer.concat([preface, bytes.subarray(0, LONGEST_PREFACE - preface.length)]);
  }

  function onMark(words: readonly string[]): void {
    const [name, first, second, third] = words;
    if (name === 'begun') begin();
    else if (name === 'step') {
      const index = Number(first);
      const step = steps[index];
      // The job's own shell could say anything: steps begin in order, once.
      if (step === undefined || index !== (state.step ?? -1) + 1 || state.done) return;
      const at = timeOf(second);
      finishStep(0, at);
      emit(masker.flush());
      state.step = index;
      running = true;
      listener.step({ kind: 'started', index, at });
      say(asTyped(step.script));
    } else if (name === 'done' && state.done === null) {
      state.done = { code: Number(first), oomKills: Number(second) };
      finishStep(state.done.code, timeOf(third));
    } else if (name === 'inputs') state.inputsFailed = true;
    else if (name === 'unpacked') state.unpacked.add(first ?? '');
    else if (name === 'end') {
      state.hasEnded = true;
      end();
    } else if (name !== undefined) {
      waiting.get(name)?.(words);
      waiting.delete(name);
    }
  }

  return {
    feed(bytes) {
      if (closed) return;
      state.size += bytes.length;
      for (const piece of marks.push(bytes)) {
        if (piece.kind === 'text') onText(piece.bytes);
        else onMark(piece.words);
      }
    },
    say,
    mask: (text) => maskText(text, secrets),
    mark: (name) => new Promise((resolve) => waiting.set(name, resolve)),
    ended,
    state,
    close(exitCode) {
      if (closed) return;
      begin();
      emit(masker.push(marks.flush()));
      emit(masker.flush());
      if (exitCode !== null) finishStep(exitCode, timeOf(undefined));
      closed = true;
    },
  };
}

/** The script after prompts, without line feeds at its end (looked for from there: rows of them may be long). */
function asTyped(script: string): string {
  let end = script.length;
  while (end > 0 && script[end - 1] === '\n') end -= 1;
  return script.slice(0, end).replace(/^/gm, '$ ');
}
