import type { Annotation } from '#src/model/annotation.ts';
import { cutBytes } from './failing-part.ts';
import type { Found, Places, Reader } from './matcher.ts';
import { matchers } from './matchers/index.ts';
import { type PlacesOptions, placesOf } from './places.ts';
import { cleanLine } from './terminal.ts';

/** More help nobody: GitHub shows a few and the log has them all. */
export const maxAnnotations = 100;
const maxLineLength = 2000;
const maxMessageBytes = 16_000;
const maxTitleLength = 200;

/** Finds annotations in a log that comes in pieces, in bounded memory. */
export interface LogAnnotator {
  push(bytes: Uint8Array): void;
  /** At most 100, without repetitions, failures first, otherwise in the order of the log. */
  end(): Annotation[];
}

export function annotateLog(places: Places): LogAnnotator {
  const readers: readonly Reader[] = matchers.map((matcher) => matcher.start(places));
  const decoder = new TextDecoder();
  const kept = collect(places);
  let rest = '';
  let blank = false;

  return {
    push(bytes) {
      take(decoder.decode(bytes, { stream: true }));
    },
    end() {
      take(`${decoder.decode()}\n`);
      for (const reader of readers) kept.add(reader.end?.() ?? []);
      return kept.all();
    },
  };

  function take(text: string): void {
    let start = 0;
    for (let feed = text.indexOf('\n'); feed >= 0; feed = text.indexOf('\n', start)) {
      line(rest + text.slice(start, Math.min(feed, start + room())));
      rest = '';
      start = feed + 1;
    }
    rest += text.slice(start, start + room());
  }

  /** The same part of a long line is looked at, however it comes. */
  function room(): number {
    return 4 * maxLineLength - rest.length;
  }

  /** The first tool to recognise a line has it; the others still see it, as they may wait for it. */
  function line(raw: string): void {
    // A blank line may end something; a flood of them must not cost a look by every tool.
    if (blank && raw === '') return;
    // A command as it is echoed says nothing about the code, whatever stands in it.
    if (raw.startsWith('$ ')) return;
    blank = raw === '';
    const text = cleanLine(raw).slice(0, maxLineLength);
    let taken = false;
    for (const reader of readers) {
      const found = reader.line(text);
      if (found.length === 0) continue;
      if (!taken) kept.add(found);
      taken = true;
    }
  }
}

/** Annotations of a log that is at hand as lines. */
export function annotate(lines: readonly string[], options: PlacesOptions = {}): Annotation[] {
  const annotator = annotateLog(placesOf(options));
  const encoder = new TextEncoder();
  for (const line of lines) annotator.push(encoder.encode(`${line}\n`));
  return annotator.end();
}

/** Joins annotations of several origins under the same limits. */
export function mergeAnnotations(...lists: readonly (readonly Annotation[])[]): Annotation[] {
  const seen = new Map<string, Annotation>();
  for (const annotation of lists.flat()) {
    const key = keyOf(annotation);
    if (!seen.has(key)) seen.set(key, annotation);
  }
  const all = [...seen.values()];
  const order = { failure: 0, warning: 1, notice: 2 } as const;
  return all.sort((a, b) => order[a.level] - order[b.level]).slice(0, maxAnnotations);
}

/** Keeps as many of each level as could be shown; sorting is stable, so the order of the log stays. */
function collect(places: Places): { add(found: readonly Found[]): void; all(): Annotation[] } {
  const levels = { failure: [] as Annotation[], warning: [] as Annotation[], notice: [] as Annotation[] };
  const seen = new Set<string>();
  return {
    add(found) {
      for (const each of found) {
        if (levels[each.level].length >= maxAnnotations) continue;
        const annotation = toAnnotation(each, places);
        if (!annotation) continue;
        const key = keyOf(annotation);
        if (seen.has(key)) continue;
        seen.add(key);
        levels[each.level].push(annotation);
      }
    },
    all: () => mergeAnnotations(levels.failure, levels.warning, levels.notice),
  };
}

/** Null where the path is none of the repository's. */
export function toAnnotation(found: Found, places: Places): Annotation | null {
  const path = places.locate(found.path.trim());
  const line = Math.max(1, found.line);
  if (path === null || !Number.isSafeInteger(line) || line > 10_000_000) return null;
  const column = found.column ?? 0;
  return {
    path,
    startLine: line,
    endLine: line,
    ...(column > 0 && column < 1_000_000 ? { startColumn: column, endColumn: column } : {}),
    level: found.level,
    ...(found.title ? { title: found.title.slice(0, maxTitleLength).toWellFormed() } : {}),
    message: cutBytes(found.message.trim() || (found.title ?? 'failed'), maxMessageBytes),
  };
}

function keyOf(annotation: Annotation): string {
  return `${annotation.path}:${annotation.startLine}:${annotation.message}`;
}
