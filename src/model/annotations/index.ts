import type { Annotation } from '#src/model/annotation.ts';
import type { TestSummary } from '#src/model/run.ts';
import { annotateLog, mergeAnnotations } from './annotate.ts';
import { readJunit } from './junit.ts';
import { type PlacesOptions, placesOf } from './places.ts';

export { annotate, maxAnnotations } from './annotate.ts';
export { cutBytes, failingPart } from './failing-part.ts';
export { cleanTerminal, stripAnsi } from './terminal.ts';

/** Reads remarks and test results out of what a job leaves: its log as it comes, then its reports. */
export interface Annotator {
  /** The next bytes of the log. Cut anywhere. */
  push(bytes: Uint8Array): void;
  /** `reports`: JUnit XML by path. At most 100 annotations, without repetitions, failures first. */
  end(
    reports?: ReadonlyMap<string, string>,
  ): Promise<{ readonly annotations: readonly Annotation[]; readonly tests: TestSummary | null }>;
}

export function createAnnotator(options: PlacesOptions = {}): Annotator {
  const places = placesOf(options);
  const log = annotateLog(places);
  return {
    push: (bytes) => log.push(bytes),
    async end(reports = new Map()) {
      const junit = await readJunit(reports, places);
      // What a report says of a line is more exact than what the log says of it.
      const reported = new Set(junit.annotations.map((each) => `${each.path}:${each.startLine}`));
      const logged = log.end().filter((each) => !reported.has(`${each.path}:${each.startLine}`));
      return { annotations: mergeAnnotations(junit.annotations, logged), tests: junit.tests };
    },
  };
}
