import * as fc from 'fast-check';
import { anyText, damaged, madeOf, realFiles } from './support.ts';

/** Pipeline files of any kind: nonsense, nearly right, damaged. */

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
  'after',
  'approvals',
  'count',
  'people',
  'teams',
  'permission',
  'allow',
  'protect',
  'windows',
  'days',
  'hours',
  'zone',
  'stable',
  'parallel',
  'steps',
  'pause',
  'approval',
  'probe',
  'prometheus',
  'query',
  'max',
  'every',
  'failures',
  'job',
  'blue-green',
  'service',
  'before',
  'gitops',
  'repository',
  'file',
  'field',
  'value',
  'changes',
  'pull-request',
  'preview',
  'manifests',
  'images',
  'keep',
  'argo-rollout',
];
export const anyKey = fc.oneof(
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
const step = fc.constantFrom<unknown>(
  '10%',
  '50%',
  '100%',
  'approval',
  { pause: '5m' },
  { approval: true },
  { job: 'a' },
  { job: 'd' },
  { probe: 'https://x.example/${{ event.branch }}', count: 2, failures: 1 },
  { probe: '${{ event.params.x }}' },
  { prometheus: 'main', query: 'up', min: 1 },
);
const environment = fc.record({
  on: rarely(fc.record({ branch: fc.constantFrom('main', '*', '**', 'v[0-9]') })),
  after: rarely(fc.constantFrom('staging', 'production', ['staging'])),
  approvals: rarely(fc.constantFrom<unknown>(1, { count: 2, people: ['ada', 'grace'] })),
  windows: rarely(fc.constant({ days: 'mon-fri', hours: '22:00-04:00', zone: 'Europe/Berlin' })),
  steps: rarely(fc.array(step, { maxLength: 4 }).map((steps) => ['5%', ...steps])),
  queue: rarely(fc.constantFrom('all', 'newest')),
  url: rarely(fc.constantFrom('https://x.example', 'https://${{ event.branch }}', '${{ event.branch }}')),
  rollout: fc.array(fc.record({ deployment: fc.constant('a/b'), container: fc.constantFrom('c', 'd'), image: id }), {
    minLength: 1,
    maxLength: 2,
  }),
});
export const nearlyRight = fc.record({
  jobs: fc.dictionary(id, job, { minKeys: 1, maxKeys: 4 }),
  environments: rarely(fc.dictionary(fc.constantFrom('staging', 'production'), environment)),
  preview: rarely(fc.constantFrom({ manifests: 'a', images: { x: 'b' } }, { manifests: ['a/*'], keep: '1d' })),
});

/** Right but for its order, its steps and its addresses: every event but a stranger's deploys somewhere. */
const between = fc.constantFrom<unknown>(
  'approval',
  { pause: '5m' },
  { job: 'smoke' },
  { job: 'test' },
  { probe: 'https://x.example/${{ event.sha }}', count: 2, failures: 1 },
  { prometheus: 'main', query: 'up', min: 1 },
);
const order = ['staging', 'production', 'europe'] as const;
const place = (name: string, index: number) =>
  fc.record({
    on: fc.constant({ branch: '**', tag: '**' }),
    after: index === 0 ? fc.constant(undefined) : rarely(fc.subarray(order.slice(0, index), { minLength: 1 })),
    approvals: rarely(fc.constant(1)),
    queue: rarely(fc.constantFrom('all', 'newest')),
    steps: rarely(
      fc
        .tuple(fc.array(between, { maxLength: 3 }), fc.array(between, { maxLength: 3 }))
        .map(([first, second]) => ['5%', ...first, '50%', ...second]),
    ),
    rollout: fc
      .subarray(['api', 'web'], { minLength: 1 })
      .map((images) =>
        ['api', ...images].map((image, nth) => ({ deployment: `${name}/w${nth}`, container: 'c', image })),
      ),
  });
const condition = rarely(fc.constantFrom<string | boolean>(false, 'always()', "event.kind == 'tag'"));
export const deploying = fc.record({
  jobs: fc.record({
    test: fc.record({ image: fc.constant('x'), run: fc.constant('y'), if: condition }),
    smoke: fc.record({
      image: fc.constant('x'),
      run: fc.constant('y'),
      needs: rarely(fc.constant('test')),
      if: condition,
    }),
    api: fc.record({ build: fc.constant({ image: 'a/api' }), needs: rarely(fc.constant('test')), if: condition }),
    web: fc.record({ build: fc.constant({ image: 'a/web' }), needs: rarely(fc.constant(['test', 'api'])) }),
  }),
  environments: fc.record({
    staging: place('staging', 0),
    production: place('production', 1),
    europe: place('europe', 2),
  }),
  preview: rarely(fc.constant({ manifests: 'a', images: { 'a/api': 'api' } })),
});

export const asYaml = (value: unknown) => JSON.stringify(value, null, 1) ?? '';
export const anyFile = fc.oneof(
  anyText,
  madeOf(syntax, 60),
  anyTree.map(asYaml),
  anyTree.map((tree) => asYaml({ jobs: tree })),
  anyTree.map((tree) => asYaml({ jobs: { a: tree } })),
  nearlyRight.map(asYaml),
  damaged(realFiles(), syntax),
);
