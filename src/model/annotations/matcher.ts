import type { Annotation } from '#src/model/annotation.ts';

/** Recognises the output of one tool. Adding one: a file in matchers/, a line in matchers/index.ts, cases in the test. */
export interface Matcher {
  readonly name: string;
  /** Begins with a log. */
  start(places: Places): Reader;
}

export interface Reader {
  /** Takes the next line (no colours, at most 2,000 characters) and answers with what is complete now. */
  line(text: string): readonly Found[];
  /** The log is over. */
  end?(): readonly Found[];
}

/** What a tool said, with the path as the tool wrote it. */
export interface Found {
  readonly path: string;
  readonly line: number;
  readonly column?: number;
  readonly level: Annotation['level'];
  readonly title?: string;
  readonly message: string;
}

export interface Places {
  /** The path relative to the repository's root, or null if it doesn't lie in there. */
  locate(path: string): string | null;
}

export const nothing: readonly Found[] = [];

/** A matcher that needs no more than one line. */
export function lineMatcher(name: string, match: (text: string) => Found | null): Matcher {
  const reader: Reader = {
    line(text) {
      const found = match(text);
      return found ? [found] : nothing;
    },
  };
  return { name, start: () => reader };
}

/** `{ column }` if there is one. */
export function columnOf(text: string | undefined): { readonly column?: number } {
  return text === undefined ? {} : { column: Number(text) };
}

export function levelOf(word: string): Annotation['level'] {
  if (/error/i.test(word)) return 'failure';
  return /warning/i.test(word) ? 'warning' : 'notice';
}
