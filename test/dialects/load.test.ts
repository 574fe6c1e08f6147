import { describe, expect, it, jest } from '@jest/globals';
import { compileFile, loadPipeline } from '#src/dialects/index.ts';
import { nearest } from '#src/dialects/suggest.ts';

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
