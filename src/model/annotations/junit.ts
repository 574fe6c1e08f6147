import { parse } from 'junit2json';
import type { Annotation } from '#src/model/annotation.ts';
import type { TestSummary } from '#src/model/run.ts';
import { mergeAnnotations, toAnnotation } from './annotate.ts';
import type { Places } from './matcher.ts';
import { cleanTerminal } from './terminal.ts';

const maxFileLength = 10 * 1024 * 1024;
/** Bounds the memory that a parsed file takes. */
const maxTags = 500_000;
const maxDepth = 20;
const maxFailures = 100;
const maxTextLength = 20_000;

export interface JunitResult {
  /** Null if no file held a test. */
  readonly tests: TestSummary | null;
  readonly annotations: readonly Annotation[];
}

interface Counter {
  total: number;
  failed: number;
  skipped: number;
  readonly failures: string[];
  readonly annotations: Annotation[];
}

/** Reads JUnit XML files, given by path. A file that can't be read becomes a warning on it, the others still count. */
export async function readJunit(reports: ReadonlyMap<string, string>, places: Places): Promise<JunitResult> {
  const counter: Counter = { total: 0, failed: 0, skipped: 0, failures: [], annotations: [] };
  const problems: Annotation[] = [];
  for (const [path, xml] of reports) {
    try {
      refuseHostile(xml);
      // No processors: a test named "1" is a text.
      suite(await parse(xml, {}), 0, counter, places);
    } catch (error) {
      const why = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
      const message = `This test report can't be read: ${why.slice(0, 200)}`;
      problems.push({ path, startLine: 1, endLine: 1, level: 'warning', title: 'JUnit', message });
    }
  }
  const { total, failed, skipped, failures } = counter;
  const tests = total > 0 ? { total, failed, skipped, failures } : null;
  return { tests, annotations: mergeAnnotations(counter.annotations, problems) };
}

function refuseHostile(xml: string): void {
  if (xml.length > maxFileLength) throw new Error('it is larger than 10 MB.');
  if (/<!ENTITY/i.test(xml)) throw new Error('it defines entities.');
  let tags = 0;
  for (let at = xml.indexOf('<'); at >= 0; at = xml.indexOf('<', at + 1)) tags++;
  if (tags > maxTags) throw new Error(`it has more than ${maxTags} tags.`);
}

/** A `testsuites` or `testsuite` element, or a list of them. The content is anyone's, so nothing is taken for granted. */
function suite(value: unknown, depth: number, counter: Counter, places: Places): void {
  if (depth > maxDepth) throw new Error(`its suites are nested more than ${maxDepth} deep.`);
  for (const element of listOf(value)) {
    for (const test of listOf(element['testcase'])) countTest(test, textOf(element['file']), counter, places);
    suite(element['testsuite'], depth + 1, counter, places);
  }
}

function countTest(test: Element, suiteFile: string, counter: Counter, places: Places): void {
  counter.total++;
  if (test['skipped'] !== undefined) counter.skipped++;
  const troubles = [...listOf(test['failure']), ...listOf(test['error'])];
  if (troubles.length === 0) return;
  counter.failed++;
  const name = nameOf(test);
  if (counter.failures.length < maxFailures) counter.failures.push(name);
  if (counter.annotations.length >= maxFailures) return;
  const text = cleanTerminal(troubles.map(wordsOf).join('\n').slice(0, maxTextLength));
  const place = placeOf(test, suiteFile, text, places);
  if (!place) return;
  const message = text.trim().slice(0, 4000) || 'The test failed.';
  const annotation = toAnnotation({ ...place, level: 'failure', title: name, message }, places);
  if (annotation) counter.annotations.push(annotation);
}

function wordsOf(trouble: Element): string {
  const message = textOf(trouble['message']).slice(0, maxTextLength);
  const details = textOf(trouble['inner']).slice(0, maxTextLength);
  return details.includes(message) ? details : `${message}\n${details}`;
}

/** `class › test`; many tools repeat the class in the test's name. */
function nameOf(test: Element): string {
  const name = textOf(test['name']).trim() || 'unnamed test';
  const group = textOf(test['classname']).trim();
  return (group === '' || name.startsWith(group) ? name : `${group} › ${name}`).slice(0, 300).toWellFormed();
}

/**
 * Where the tool says so; else the innermost place in the repository that the failure's text names: the last one in
 * Python's traces, the first one elsewhere.
 */
function placeOf(
  test: Element,
  suiteFile: string,
  text: string,
  places: Places,
): { readonly path: string; readonly line: number } | null {
  const file = textOf(test['file']) || suiteFile;
  const inText = placesIn(text).filter((place) => places.locate(place.path) !== null);
  if (file === '' || places.locate(file) === null) {
    return (inText[0]?.path.endsWith('.py') ? inText.at(-1) : inText[0]) ?? null;
  }
  const line = Number(textOf(test['line']));
  const exact = inText.findLast((place) => places.locate(place.path) === places.locate(file));
  return exact ?? { path: file, line: Number.isSafeInteger(line) && line > 0 ? line : 1 };
}

function placesIn(text: string): { readonly path: string; readonly line: number }[] {
  const pattern = /(?:^|[\s("'])((?:file:\/\/)?[\w@./-][^\s:()"']{0,300}\.[A-Za-z]{1,5}):(\d{1,7})\b/g;
  return [...text.slice(0, maxTextLength).matchAll(pattern)].map((match) => ({
    path: match[1] ?? '',
    line: Number(match[2]),
  }));
}

type Element = Readonly<Record<string, unknown>>;

/** junit2json gives `{inner}` for an element that is only text, and attributes as properties. */
function listOf(value: unknown): Element[] {
  const list = Array.isArray(value) ? value : value === undefined ? [] : [value];
  return list.map((each: unknown) => (typeof each === 'object' && each !== null ? (each as Element) : { inner: each }));
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
