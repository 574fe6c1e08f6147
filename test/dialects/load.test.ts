import { describe, expect, it, jest } from '@jest/globals';
import { compileFile, loadPipeline } from '#src/dialects/index.ts';
import { nearest } from '#src/model/suggest.ts';

describe('the pipeline of a repository', () => {
  it('is read in few rounds, and only what is needed', async () => {
    const read = jest.fn(
      async (paths: readonly string[]) => new Map(paths.map((path) => [path, 'jobs: { a: { image: x, run: y } }'])),
    );
    expect(await loadPipeline(['package.json', 'slipway.yml'], read)).toMatchObject({
      kind: 'pipeline',
      pipeline: { dialect: 'native' },
    });
    expect(read.mock.calls).toEqual([[['slipway.yml']]]);
  });

  it('says so when a file can not be read', async () => {
    const loaded = await loadPipeline(['slipway.yml'], async () => new Map());
    expect(loaded).toMatchObject({
      kind: 'invalid',
      diagnostics: [{ code: 'too-many-files', at: { file: 'slipway.yml' } }],
    });
  });

  it('is nothing in an empty repository, and the message says what to add', async () => {
    expect(await loadPipeline([], async () => new Map())).toMatchObject({
      kind: 'none',
      message: expect.stringContaining('slipway.yml'),
    });
  });

  it('may be any file for the command line', () => {
    expect(compileFile('examples/shop.yml', 'jobs: { a: { image: x, run: y } }').kind).toBe('pipeline');
  });
});

describe('hostile files', () => {
  it('are looked through soon where there is no pipeline', async () => {
    const blank = '\n'.repeat(500_000);
    const paths = ['pyproject.toml', 'Cargo.toml', 'rust-toolchain.toml', 'go.mod', 'pom.xml', 'requirements.txt'];
    const loaded = await loadPipeline(paths, async (wanted) => new Map(wanted.map((path) => [path, blank])));
    expect(loaded.kind).toBe('pipeline');
  });

  const levels = Array.from(
    { length: 8 },
    (_, i) => `l${i + 1}: &l${i + 1} [${Array.from({ length: 9 }, () => `*l${i}`).join(',')}]`,
  );
  it.each([
    ['deep lists', '['.repeat(100_000), 'too-deep'],
    ['deep keys', '? '.repeat(50_000), 'too-deep'],
    ['an alias bomb', ['l0: &l0 [x]', ...levels].join('\n'), 'too-many-aliases'],
    ['a huge file', 'x'.repeat(300_000), 'file-too-large'],
    ['a key that objects have', '__proto__: { jobs: {} }\njobs: { a: { image: x, run: y } }', 'bad-name'],
    [
      'a text of blank lines with a mistake at its end',
      `jobs: { a: { image: x, run: "${'\\n'.repeat(100_000)}\${{ foo }}" } }`,
      'bad-expression',
    ],
    ['a text full of mistakes', `jobs: { a: { image: x, run: "${'${{ a }} '.repeat(20_000)}" } }`, 'bad-expression'],
    [
      'jobs without number',
      `jobs: { ${Array.from({ length: 20_000 }, (_, i) => `a${i}: {}`).join(', ')} }`,
      'too-many-jobs',
    ],
    [
      'variables without number',
      `jobs: { a: { run: x, env: { ${Array.from({ length: 20_000 }, (_, i) => `a${i}: 1`).join(', ')} } } }`,
      'missing-key',
    ],
    [
      'long names',
      `jobs: { a: { ${'x'.repeat(60_000)}: 1, needs: ${'y'.repeat(60_000)} }, ${'z'.repeat(60_001)}: {} }`,
      'unknown-key',
    ],
    ['many mistakes', `jobs: { a: { ${Array.from({ length: 500 }, (_, i) => `k${i}: 1`).join(', ')} } }`, 'many-more'],
    ['nothing', '', 'empty-file'],
  ])('%s', (_, text, code) => {
    const compiled = compileFile('slipway.yml', text);
    expect(compiled.kind).toBe('invalid');
    expect('diagnostics' in compiled && compiled.diagnostics.map((diagnostic) => diagnostic.code)).toContain(code);
  });
});

it.each([
  ['neeeds', 'needs'],
  ['enviroment', 'environment'],
  ['tset', 'test'],
  ['x', null],
  ['banana', null],
])('%s means %s', (word, meant) => {
  expect(nearest(word, ['needs', 'environment', 'test', 'y'])).toBe(meant);
});
