import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { createAnnotator } from '#src/model/annotations/index.ts';

const pytestXml = readFileSync(join(import.meta.dirname, 'fixtures/pytest.xml'), 'utf8');

function read(...files: readonly string[]): ReturnType<ReturnType<typeof createAnnotator>['end']> {
  return createAnnotator().end(new Map(files.map((xml, index) => [`reports/${index}.xml`, xml])));
}

describe('JUnit files', () => {
  it('count tests and name the failing ones, with their place', async () => {
    const { tests, annotations } = await read(pytestXml);
    expect(tests).toEqual({
      total: 3,
      failed: 2,
      skipped: 1,
      failures: ['tests.test_calc › test_add', 'tests.test_calc.TestThings › test_key'],
    });
    expect(annotations.map((each) => `${each.path}:${each.startLine} ${each.title}`)).toEqual([
      'tests/test_calc.py:5 tests.test_calc › test_add',
      'tests/test_calc.py:3 tests.test_calc.TestThings › test_key',
    ]);
    expect(annotations[0]?.message).toMatch(/assert \(1 \+ 2\) == 4/);
  });

  it.each([
    [
      'a stack of JavaScript',
      `<testcase name="cart adds" classname="cart adds"><failure>Error: expected 3
    at toBe (/workspace/node_modules/expect/index.js:1:2)
    at Object.&lt;anonymous&gt; (/workspace/test/cart.test.js:7:15)
    at run (/workspace/test/helper.js:9:1)</failure></testcase>`,
      ['test/cart.test.js:7 cart adds'],
    ],
    [
      'attributes',
      '<testcase name="adds" classname="Cart" file="./test/CartTest.php" line="12"><failure message="no"/></testcase>',
      ['test/CartTest.php:12 Cart › adds'],
    ],
    [
      'an error, and a name that is a number',
      '<testcase name="1" file="a.rb"><error message="boom">boom</error></testcase>',
      ['a.rb:1 1'],
    ],
    [
      'no place at all',
      '<testcase name="adds" classname="acme.CartTest"><failure>at acme.Cart</failure></testcase>',
      [],
    ],
  ])('find the place of a failure from %s', async (_name, testcase, expected) => {
    const { tests, annotations } = await read(`<testsuite>${testcase}</testsuite>`);
    expect(tests?.failed).toBe(1);
    expect(annotations.map((each) => `${each.path}:${each.startLine} ${each.title}`)).toEqual(expected);
  });

  it('count nested suites and several files', async () => {
    const one = '<testsuites><testsuite><testsuite><testcase name="a"/></testsuite></testsuite></testsuites>';
    const { tests } = await read(one, '<testsuite><testcase name="b"><skipped/></testcase></testsuite>');
    expect(tests).toEqual({ total: 2, failed: 0, skipped: 1, failures: [] });
  });

  it('are no tests where there are none', async () => {
    expect(await createAnnotator().end()).toEqual({ annotations: [], tests: null });
    expect(await read('<testsuites/>')).toEqual({ annotations: [], tests: null });
    expect((await read('<other><testcase name="x"/></other>')).tests).toBeNull();
  });

  it('stand for what the log says of the same line', async () => {
    const annotator = createAnnotator();
    const log = readFileSync(join(import.meta.dirname, 'fixtures/pytest.txt'));
    annotator.push(log);
    const { annotations } = await annotator.end(new Map([['r.xml', pytestXml]]));
    expect(annotations).toHaveLength(2);
  });

  it('name at most 100 failures', async () => {
    const cases = '<testcase name="x" file="a.py" line="1"><failure/></testcase>'.repeat(150);
    const { tests } = await read(`<testsuite>${cases}</testsuite>`);
    expect(tests?.failed).toBe(150);
    expect(tests?.failures).toHaveLength(100);
  });

  it.each([
    ['broken XML', '<testsuite><testcase', /can't be read/],
    ['empty', '', /can't be read|^$/],
    [
      'entities that grow',
      `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]><testsuite name="&b;"/>`,
      /defines entities/,
    ],
    [
      'an outside entity',
      '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><testsuite name="&a;"/>',
      /defines entities/,
    ],
    ['too many tags', `<testsuite>${'<a/>'.repeat(600_000)}</testsuite>`, /more than 500000 tags/],
    ['too large', `<testsuite>${' '.repeat(11_000_000)}</testsuite>`, /larger than 10 MB/],
    ['too deep', '<testsuite>'.repeat(100) + '</testsuite>'.repeat(100), /nested more than 20/],
    ['much too deep', '<testsuite>'.repeat(100_000) + '</testsuite>'.repeat(100_000), /can't be read/],
    [
      'names of prototypes',
      '<testsuite><testcase name="__proto__" constructor="1"/><__proto__ polluted="1"/></testsuite>',
      /^$/,
    ],
  ])('do no harm: %s', async (_name, xml, problem) => {
    const { annotations } = await read(xml, '<testsuite><testcase name="fine"/></testsuite>');
    expect(annotations.map((each) => each.message).join()).toMatch(problem);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});
