/* oxlint-disable jest/no-conditional-expect -- what is asked of an answer depends on what it is */
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { compileNative } from '#src/dialects/native/compile.ts';
import { compileFile, loadPipeline } from '#src/dialects/index.ts';
import { readYaml } from '#src/dialects/yaml.ts';
import type { Diagnostic } from '#src/model/diagnostic.ts';
import type { Pipeline } from '#src/model/pipeline.ts';
import type { Trigger } from '#src/model/event.ts';
import { plan } from '#src/planner/plan.ts';
import {
  anyText,
  check,
  checkLater,
  damaged,
  madeOf,
  patience,
  realFiles,
  repository,
  subject,
  triggers,
} from './support.ts';

const syntax = [
  'a',
  'jobs',
  'jobs:',
  'test:',
  ': ',
  ':',
  '- ',
  '-',
  '? ',
  '?',
  '&a ',
  '*a',
  '&b',
  '*b',
  '<<: *a',
  '<<: [*a, *b]',
  '!!map ',
  '!x ',
  '!!binary |',
  '!!set',
  '!!int ',
  '%YAML 1.1\n',
  '%TAG ! x\n',
  '---\n',
  '...\n',
  '# x\n',
  '|\n',
  '>\n',
  '|+2\n',
  '{',
  '}',
  '[',
  ']',
  ',',
  '"',
  "'",
  '"\\u0000"',
  '"\\x"',
  '\n',
  '\n  ',
  '\n    ',
  '\n      ',
  '	',
  ' ',
  '\r\n',
  '~',
  'null',
  'true',
  '0o7',
  '0x1',
  '1e3',
  '.inf',
  '2001-01-01',
  '__proto__: ',
  'constructor: ',
  '${{ matrix.a }}',
  'image: a',
  'run: x',
];

const keys = [
  'jobs',
  'environments',
  'concurrency',
  'image',
  'run',
  'build',
  'needs',
  'if',
  'matrix',
  'include',
  'exclude',
  'env',
  'workdir',
  'shell',
  'services',
  'artifacts',
  'reports',
  'junit',
  'timeout',
  'retry',
  'continue-on-error',
  'name',
  'context',
  'on',
  'branch',
  'tag',
  'rollout',
  'deployment',
  'container',
  'url',
  'secrets',
  'docker',
  'cache',
  'group',
  'queue',
  'a',
  'b',
  '__proto__',
  'constructor',
  'toString',
  '<<',
  '',
  ' ',
  'privileged',
  'volumes',
  'network',
  'environment',
];
const anyKey = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...keys) },
  fc.string({ unit: 'binary', maxLength: 8 }),
);
const expressions = [
  'matrix.a',
  'matrix.b',
  'event.branch',
  "event.kind == 'tag'",
  'always()',
  "needs.a.result == 'success'",
  '1',
  "format('{0}', matrix.a)",
  'fromJSON(matrix.a)',
  'x',
];
const templates = fc.constantFrom(...expressions).map((text) => `\${{ ${text} }}`);
const scalar = fc.oneof(
  fc.constantFrom<unknown>(
    'a',
    'b',
    'node:24',
    'x',
    './',
    '../x',
    '/x',
    '10m',
    '1h',
    '*.xml',
    true,
    false,
    null,
    0,
    1,
    3.1,
    -1,
    Number.POSITIVE_INFINITY,
  ),
  templates,
  fc.constantFrom(...expressions),
  madeOf(['a', '/', ':', '@', '.', '*', '[', '${{', '}}', ' matrix.a '], 8),
);

/** Anything under any of the keys. */
const anyTree: fc.Arbitrary<unknown> = fc.letrec<{ tree: unknown }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 5 },
    { weight: 3, arbitrary: scalar },
    { weight: 1, arbitrary: fc.array(tie('tree'), { maxLength: 4 }) },
    { weight: 3, arbitrary: fc.array(fc.tuple(anyKey, tie('tree')), { maxLength: 6 }).map(Object.fromEntries) },
  ),
})).tree;

/** Mostly right: what the planner gets to see. */
const id = fc.constantFrom('a', 'b', 'c', 'd');
const rarely = <T>(value: fc.Arbitrary<T>) => fc.option(value, { freq: 2, nil: undefined });
const values = fc.constantFrom<unknown>('a', 'b', 1, 2, 3, true, '{"x": 1}', '', 'constructor');
const matrix = fc.record(
  {
    a: fc.uniqueArray(values, { minLength: 1, maxLength: 4, selector: String }),
    b: fc.uniqueArray(values, { minLength: 1, maxLength: 3, selector: String }),
    include: rarely(fc.array(fc.dictionary(fc.constantFrom('a', 'b', 'c'), values), { minLength: 1, maxLength: 3 })),
  },
  { requiredKeys: ['a', 'b'] },
);
const job = fc.oneof(
  fc.record({
    image: fc.constantFrom('node:24', 'node:${{ matrix.a }}', 'a/b'),
    run: fc.oneof(
      templates,
      fc.constantFrom('x', 'echo ${{ matrix.a }}'),
      fc.array(fc.constantFrom('x', '${{ matrix.b }}'), { minLength: 1, maxLength: 3 }),
    ),
    matrix,
    needs: rarely(fc.array(id, { maxLength: 2 })),
    if: rarely(fc.constantFrom(...expressions)),
    name: rarely(fc.constantFrom('n', '${{ matrix.a }}', 'slipway', 'deploy staging')),
    env: rarely(fc.dictionary(fc.constantFrom('A', 'B'), fc.oneof(templates, fc.constant('x')))),
    workdir: rarely(fc.constantFrom('a', '${{ matrix.a }}', 'a/${{ matrix.b }}')),
    concurrency: rarely(fc.constantFrom('g', 'g-${{ matrix.a }}', '${{ event.branch }}')),
  }),
  fc.record({
    build: fc.record({ image: fc.constantFrom('ghcr.io/a/b', 'ghcr.io/a/${{ event.branch }}') }),
    needs: rarely(fc.array(id, { maxLength: 2 })),
  }),
);
const environment = fc.record({
  on: rarely(fc.record({ branch: fc.constantFrom('main', '*', '**', 'v[0-9]') })),
  url: rarely(fc.constantFrom('https://x.example', 'https://${{ event.branch }}', '${{ event.branch }}')),
  rollout: fc.array(fc.record({ deployment: fc.constant('a/b'), container: fc.constantFrom('c', 'd'), image: id }), {
    minLength: 1,
    maxLength: 2,
  }),
});
const nearlyRight = fc.record({
  jobs: fc.dictionary(id, job, { minKeys: 1, maxKeys: 4 }),
  environments: rarely(fc.dictionary(fc.constantFrom('staging', 'production'), environment)),
});

const asYaml = (value: unknown) => JSON.stringify(value, null, 1) ?? '';
const anyFile = fc.oneof(
  anyText,
  madeOf(syntax, 60),
  anyTree.map(asYaml),
  anyTree.map((tree) => asYaml({ jobs: tree })),
  anyTree.map((tree) => asYaml({ jobs: { a: tree } })),
  nearlyRight.map(asYaml),
  damaged(realFiles(), syntax),
);

/** Lines and columns count from 1; a place may stand right after the last character. */
function refuseForeignPlaces(text: string, diagnostics: readonly Diagnostic[]): void {
  const lines = text.split('\n');
  for (const { at, message } of diagnostics) {
    expect(message.length).toBeGreaterThan(0);
    for (const [line, column] of [
      [at.line, at.column],
      [at.endLine ?? at.line, at.endColumn ?? at.column],
    ] as const) {
      expect(line).toBeGreaterThanOrEqual(1);
      expect(line).toBeLessThanOrEqual(lines.length);
      expect(column).toBeGreaterThanOrEqual(1);
      expect(column).toBeLessThanOrEqual((lines[line - 1]?.length ?? 0) + 1);
    }
  }
}

function planned(pipeline: Pipeline, trigger: Trigger): void {
  const answer = plan(pipeline, trigger, repository, { message: '', done: new Set() });
  if (answer.kind === 'refused') {
    expect(answer.message).not.toBe('');
    return;
  }
  const { jobs } = answer.plan;
  const keysOf = jobs.map((each) => each.key);
  expect(new Set(keysOf).size).toBe(keysOf.length);
  expect(jobs.length).toBeLessThanOrEqual(500 + pipeline.environments.length);
  expect(JSON.stringify(jobs).length).toBeLessThan(20_000_000);
}

describe(subject('pipeline files'), () => {
  it(
    'reads any text as YAML, or says at a place of it what is wrong',
    () => {
      check(
        fc.tuple(anyFile, fc.array(fc.oneof(anyKey, fc.nat(3)), { maxLength: 4 }), fc.nat(300)),
        ([text, path, offset]) => {
          const yaml = readYaml('slipway.yml', text);
          const message = 'x';
          const ask = [yaml.at(path), yaml.atKey(path), yaml.within(path, offset)];
          refuseForeignPlaces(text, [
            ...yaml.diagnostics,
            ...ask.map((at) => ({ severity: 'error', code: '', message, at }) as const),
          ]);
          if (yaml.value === undefined) expect(yaml.diagnostics.length).toBeGreaterThan(0);
        },
      );
    },
    patience,
  );

  it(
    'compiles any text to a pipeline, or to mistakes at places of it; what compiles can be planned',
    () => {
      check(fc.tuple(anyFile, triggers), ([text, trigger]) => {
        const compiled = compileNative('slipway.yml', text);
        if (compiled.kind === 'needs-files') throw new Error('The native dialect needs no other files.');
        refuseForeignPlaces(text, compiled.diagnostics);
        expect(compiled.diagnostics.length).toBeLessThanOrEqual(101);
        expect(compiled.diagnostics.some((each) => each.severity === 'error')).toBe(compiled.kind === 'invalid');
        if (compiled.kind === 'pipeline') planned(compiled.pipeline, trigger);
      });
    },
    patience,
  );

  it(
    'plans what is nearly right',
    () => {
      let compilable = 0;
      check(fc.tuple(nearlyRight, triggers), ([file, trigger]) => {
        const compiled = compileFile('slipway.yml', asYaml(file));
        if (compiled.kind !== 'pipeline') return;
        compilable += 1;
        planned(compiled.pipeline, trigger);
      });
      expect(compilable).toBeGreaterThan(0);
    },
    patience,
  );

  it(
    'finds something to run, or nothing, in any repository',
    async () => {
      const names = [
        'package.json',
        'pyproject.toml',
        'requirements.txt',
        'go.mod',
        'Cargo.toml',
        'pom.xml',
        'Dockerfile',
        '.nvmrc',
        'tox.ini',
        'yarn.lock',
        '__proto__',
        'slipway.yml',
        '.github/slipway.yaml',
        '.python-version',
      ];
      const words = [
        '{"scripts":{"test":"x","__proto__":"y"}}',
        '"engines":{"node":">=20"}',
        '[project]\n',
        'requires-python = ">=3.12"\n',
        'pytest',
        'ruff',
        'go 1.22\n',
        'rust-version = "1.80"\n',
        '<maven.compiler.release>21<',
        'FROM x\n',
        '"',
        '\n',
      ];
      const contents = fc.dictionary(fc.constantFrom(...names), madeOf(words, 8), { maxKeys: 6 });
      await checkLater(fc.tuple(contents, triggers), async ([files, trigger]) => {
        const paths = Object.keys(files);
        const loaded = await loadPipeline(
          paths,
          async (wanted) =>
            new Map(wanted.map((path) => [path, Object.hasOwn(files, path) ? (files[path] ?? null) : null])),
        );
        if (loaded.kind === 'pipeline') planned(loaded.pipeline, trigger);
        if (loaded.kind === 'invalid') expect(loaded.diagnostics.length).toBeGreaterThan(0);
        if (loaded.kind === 'none') expect(loaded.message).not.toBe('');
      });
    },
    patience,
  );
});
