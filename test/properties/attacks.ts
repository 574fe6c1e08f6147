import { parentPort } from 'node:worker_threads';
import { fileQuery } from '#src/adapters/docker/globs.ts';
import { createOutput } from '#src/adapters/docker/output.ts';
import { compileNative } from '#src/dialects/native/compile.ts';
import { detect } from '#src/dialects/detected/index.ts';
import { cleanTerminal, createAnnotator, failingPart } from '#src/model/annotations/index.ts';
import { readJunit } from '#src/model/annotations/junit.ts';
import { placesOf } from '#src/model/annotations/places.ts';
import { parseCommands } from '#src/model/command.ts';
import { createMasker } from '#src/model/mask.ts';
import { parseTemplate, unwrapCondition } from '#src/model/template.ts';
import { plan } from '#src/planner/plan.ts';
import { plain } from '#src/web/ansi.ts';
import { LineRenderer } from '#src/web/log-lines.ts';

/**
 * Input made to be slow, by name: each as large as what it attacks takes. Runs in a thread of its own, so that one that
 * hangs can be ended.
 */
const file = 255 * 1024;
const megabyte = 1024 * 1024;

function compile(text: string): void {
  const compiled = compileNative('slipway.yml', text.slice(0, 256 * 1024));
  if (compiled.kind !== 'pipeline') return;
  const trigger = {
    kind: 'push',
    branch: 'main',
    sha: 'a'.repeat(40),
    ref: 'refs/heads/main',
    actor: 'a',
    title: '',
  } as const;
  const repository = {
    id: 1,
    owner: 'a',
    name: 'b',
    defaultBranch: 'main',
    private: false,
    cloneUrl: '',
    installationId: 1,
  };
  plan(compiled.pipeline, trigger, repository, { message: '', done: new Set() });
}

const many = (count: number, make: (index: number) => string, between = '') =>
  Array.from({ length: count }, (_, index) => make(index)).join(between);
const job = (index: number, rest: string) => `  j${index}: {image: a, run: [x], ${rest}}\n`;
const wide = (entries: number) => `{a: [${many(250, String, ',')}], exclude: [${many(entries, () => '{a: 1}', ',')}]}`;
const nine = (text: string) => `format('${'{0}'.repeat(9)}', ${text})`;
const large = nine(nine(nine(nine("'xxxxxxxxxxxxxx'"))));
const steps = (text: string) =>
  `jobs:\n  a:\n    image: a\n    matrix: {b: [1,2,3,4,5,6,7]}\n    run:\n${many(1300, () => `    - ${text}\n`)}`;

const image = 'jobs: {i: {build: {image: a/b}}}\n';
const target = '{deployment: a/b, container: c, image: i}';

const files: Readonly<Record<string, string>> = {
  'a list in a list in a list': '['.repeat(file),
  'a map in a map in a map': '{a: '.repeat(file / 4),
  'dashes in one line': '- '.repeat(file / 2),
  'questions in one line': '? '.repeat(file / 2),
  'anchors without end': '&a '.repeat(file / 3),
  'tags without end': '!a '.repeat(file / 3),
  'many aliases of many anchors': `[${many(20_000, (i) => `&a${i}`, ',')},${many(10_000, (i) => `*a${i}`, ',')}]`,
  'aliases of aliases of aliases': `a0: &a0 [x]\n${many(40, (i) => `a${i + 1}: &a${i + 1} [${`*a${i},`.repeat(9)}]\n`)}`,
  'an anchor that holds itself': 'jobs: &a\n  a: *a\n',
  'a merge of itself': 'jobs: &a {<<: *a}',
  'a large map merged often': `a: &a {${many(10_000, (i) => `x${i}`, ',')}}\n${many(90, (i) => `b${i}: {<<: *a}\n`)}`,
  'many merges in one map': `a: {${many(10_000, (i) => `<<: {x${i}: 1}`, ',')}}`,
  'documents without end': '---\n'.repeat(file / 4),
  'a number of many digits': `a: ${'9'.repeat(file)}`,
  'closing brackets': '}'.repeat(file),
  'one long line of blanks': `a: x${' '.repeat(file - 10)}x`,
  'blank lines in quotes': `a: "${' \n'.repeat(file / 2 - 5)}x"`,
  'many unknown keys': `jobs:\n  a:\n    image: a\n    run: [x]\n${many(15_000, (i) => `    k${i}: 1\n`)}`,
  'many keys that are nearly right': `jobs:\n  a:\n${many(12_000, (i) => `    imgae${i % 9}${i}: 1\n`)}`,
  'many long needs that are nearly right': `jobs:\n${many(190, (i) => `  j${'x'.repeat(95)}${i}: {image: a, run: [x], needs: [${many(12, (k) => `j${'x'.repeat(92)}y${k}y`, ',')}]}\n`)}`,
  'many circles of needs': `jobs:\n${many(500, (i) => job(i, `needs: [${many(60, (k) => `j${(i + k) % 500}`, ',')}]`))}`,
  'one list of needs for many jobs': `n: &n [${many(20_000, (i) => `j${i}`, ',')}]\njobs:\n${many(99, (i) => job(i, 'needs: *n'))}`,
  'one matrix for many jobs': `m: &m ${wide(20_000)}\njobs:\n${many(99, (i) => job(i, 'matrix: *m'))}`,
  'a matrix with many excludes': `jobs:\n${job(1, `matrix: ${wide(25_000)}`)}`,
  'a matrix with many axes': `jobs:\n${job(1, `matrix: {${many(20_000, (i) => `a${i}: 1`, ',')}}`)}`,
  'many images that are nearly right': `jobs:\n${many(190, (i) => `  j${'x'.repeat(95)}${i}: {build: {image: a/b}}\n`)}environments:\n${many(18, (e) => `  e${e}:\n    rollout:\n${many(100, (i) => `    - {deployment: a/b, container: c, image: j${'x'.repeat(70)}y${e}y${i}}\n`)}`)}`,
  'environments in a long line': `${image}environments:\n${many(200, (i) => `  e${i}: {after: [${many(100, (k) => `e${i + k}`, ',')}], rollout: [${target}]}\n`)}`,
  'environments in many circles': `${image}environments:\n${many(200, (i) => `  e${i}: {after: [${many(90, (k) => `e${(i + k) % 200}`, ',')}], rollout: [${target}]}\n`)}`,
  'one list of steps for many environments': `s: &s [${many(50, (i) => `{job: ja${i}}`, ',')}]\n${image}environments:\n${many(99, (i) => `  e${i}: {steps: *s, rollout: [${target}]}\n`)}`,
  'places that are no time zones': `w: &w [${many(20, (i) => `{zone: Europa/Balrin${i}}`, ',')}]\n${image}environments:\n${many(99, (i) => `  e${i}: {windows: *w, rollout: [${target}]}\n`)}`,
  'a way through a file without end': `${image}environments:\n  e: {gitops: {repository: a/b, file: f, image: i, field: "${'a['.repeat(490)}"}}\n`,
  'many images of a preview': `${image}preview:\n  manifests: a\n  images:\n${many(10_000, (i) => `    a/b${i}: ii${i}\n`)}`,
  'steps that become large': steps(`\${{ ${large} }}`),
  'expressions that make much of nothing': steps(`\${{ contains(${large}, 1) }}`),
  'expressions without end': `jobs:\n  a:\n    image: a\n    run: "${'${{ x }}'.repeat(28_000)}"\n`,
  'brackets in an expression': `jobs:\n${job(1, `if: "${'('.repeat(9_000)}"`)}`,
};

const rows: Readonly<Record<string, string>> = {
  carriage: '\r',
  escape: '\u001b',
  csi: '\u001b[',
  osc: '\u001b]',
  'c1 csi': '\u009b',
  backspace: '\b',
  colour: '\u001b[38;2;',
  'line separator': '\u001b]\u2028',
  blank: ' ',
  slash: '/',
  colon: 'a:1:',
  dots: 'a.',
  brackets: '([{',
  quote: "'",
  arrow: ' --> ',
  lower: '_ ',
  equals: '= ',
  python: 'a.py:1: ',
  go: '\ta.go:1 ',
  eslint: 'a:1:1: x [Error',
  typescript: 'a(1,1): error TS1',
  cpp: 'a.c:1:1: error[',
};

async function logOf(row: string): Promise<void> {
  const text = `${row.repeat(megabyte / row.length)}x`;
  const bytes = Buffer.from(`${text}\n=== FAILURES ===\n__ a __\n${text}\nwarning: x\n${text}\n`);
  const annotator = createAnnotator({ workdir: 'a' });
  annotator.push(bytes);
  await annotator.end();
  failingPart(bytes, 60_000);
  cleanTerminal(text.slice(0, 20_000));
  const renderer = new LineRenderer(0, plain);
  renderer.push(bytes);
  const masker = createMasker([row.repeat(50) + 'y', 'aaaaaaaaaaaaaaab']);
  masker.push(bytes);
  masker.push(Buffer.from('a'.repeat(megabyte)));
}

export const attacks: Readonly<Record<string, () => void | Promise<void>>> = {
  ...Object.fromEntries(Object.entries(files).map(([name, text]) => [`pipeline: ${name}`, () => compile(text)])),
  ...Object.fromEntries(Object.entries(rows).map(([name, row]) => [`log: ${name}`, () => logOf(row)])),
  'comment: hidden without end': () => void parseCommands('<!--'.repeat(16_000)),
  'comment: a command with a long tail': () => void parseCommands(`/deploy${' '.repeat(65_000)}x`),
  'comment: marks of code that never match': () =>
    void parseCommands(Array.from({ length: 300 }, (_, i) => '`'.repeat(i)).join(' ')),
  'comment: lists in lists': () => void parseCommands('- '.repeat(30_000)),
  'comment: values without end': () => void parseCommands(`/deploy a -- ${'"'.repeat(60_000)}`),
  'comment: fences': () => void parseCommands('```'.repeat(20_000)),
  'workdir: a row of slashes': () => void placesOf({ workdir: `a${'/'.repeat(file)}x` }).locate('a'),
  'script: a row of line feeds': () => {
    const listener = { log: () => undefined, step: () => undefined } as never;
    const clock = { now: () => 0 } as never;
    const row = { name: 'a', script: `a${'\n'.repeat(file)}x` };
    const output = createOutput({ nonce: 'a', secrets: [], steps: [row], listener, clock });
    output.feed(Buffer.from('\x1ea begun\x1f\x1ea step 0 1\x1f'));
    output.close(0);
  },
  'glob: brackets without end': () => void fileQuery('['.repeat(65_000)),
  'glob: braces without end': () => void fileQuery('{'.repeat(65_000)),
  'condition: closing braces': () => void unwrapCondition(`\${{${'}} '.repeat(80_000)}`),
  'template: an end that is missing': () => void parseTemplate('${{'.repeat(80_000), []),
  'repository: a table of spaces': () => {
    const text = `rust-version${' '.repeat(megabyte)}\n${'python'.repeat(100_000)}\n${'"ruff['.repeat(100_000)}`;
    const names = [
      'package.json',
      'pyproject.toml',
      'requirements.txt',
      'go.mod',
      'Cargo.toml',
      'pom.xml',
      'Dockerfile',
    ];
    detect(names, new Map(names.map((name) => [name, text])));
  },
  'report: tags without end': async () =>
    void (await readJunit(new Map([['a.xml', '<testsuite>'.repeat(100_000)]]), placesOf())),
  'report: a failure of many places': async () => {
    const places = ' a/b.c'.repeat(100_000);
    const xml = `<testsuites><testsuite><testcase name="a"><failure>${places}</failure></testcase></testsuite></testsuites>`;
    await readJunit(new Map([['a.xml', xml]]), placesOf());
  },
};

async function answer(name: string): Promise<void> {
  const said = await (async () => attacks[name]?.())().then(() => 'done', String);
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has none
  parentPort?.postMessage(said);
}

parentPort?.on('message', (name: string) => void answer(name));
