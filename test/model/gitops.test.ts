import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { parseAllDocuments, stringify } from 'yaml';
import { parseField } from '#src/model/field-path.ts';
import { fieldValue, setField } from '#src/model/gitops.ts';
import '#test/seeded.ts';

const digest = `sha256:${'a1'.repeat(32)}`;
const image = `ghcr.io/acme/shop@${digest}`;

const deployment = `# The API of the shop.
apiVersion: apps/v1
kind: Deployment
metadata: { name: api, labels: {app.kubernetes.io/version: "1"} }
spec:
  replicas: 2   # enough
  template:
    spec:
      containers:
        - name: proxy
          image: 'envoy:1'
        - image: ghcr.io/acme/shop:v1 # by Slipway
          name: api
`;
const two = `${deployment}---
kind: Service
metadata:
  name: api
image: old
---
kind: Job
metadata: {name: migrate}
image: older
`;

function set(text: string, field: string, value = image, file = 'deploy/api.yaml'): string {
  const done = setField(file, text, field, value);
  if (done.kind === 'refused') throw new Error(done.message);
  return done.text;
}

function refusal(text: string, field: string, value = image, file = 'api.yaml'): string {
  const done = setField(file, text, field, value);
  return done.kind === 'refused' ? done.message : `set: ${done.text}`;
}

describe('a field is set, and nothing else changes', () => {
  it.each<[string, string, string, string, string]>([
    ['by index', deployment, 'spec.template.spec.containers[1].image', 'ghcr.io/acme/shop:v1', image],
    ['by name', deployment, 'spec.template.spec.containers[name=api].image', 'ghcr.io/acme/shop:v1', image],
    ['in single quotes', deployment, 'spec.template.spec.containers[name=proxy].image', "'envoy:1'", `'${image}'`],
    [
      'a key with points, in double quotes',
      deployment,
      'metadata.labels["app.kubernetes.io/version"]',
      '"1"',
      `"${image}"`,
    ],
    ['a number', 'a: 7 # seven\n', 'a', '7', image],
    ['with Windows lines', 'a:\r\n  image: x # c\r\nb: 1\r\n', 'a.image', 'x', image],
    ['behind a byte order mark', '\uFEFFimage: x\n', 'image', 'x', image],
    ['without a line end', 'image: x', 'image', 'x', image],
    ['on several lines', 'image: x\n  y\nb: 1\n', 'image', 'x\n  y', image],
    ['in flow style', 'a: {image: x, b: [1, {c: d}]}\n', 'a.b[1].c', 'd', image],
    ['in a list of lists', 'a: [[x, y], [z]]\n', 'a[0][1]', 'y', image],
    ['null', 'image: ~\nb: 1\n', 'image', '~', image],
    ['of the only document that has it', `a: 1\n---\nimage: x\n`, 'image', 'x', image],
    ['of the document that a condition names', two, '[kind=Job].image', 'older', image],
    ['by two conditions', two, '[kind=Service][metadata.name=api].image', 'old', image],
    ['of a document by number', two, '[1].image', 'old', image],
    ['at the top of a list', '- name: a\n  image: x\n- name: b\n  image: y\n', '[name=b].image', 'y', image],
    ['with an anchor that nobody uses', 'image: &i x\n', 'image', 'x', image],
    ['with two spaces and a comment', 'image:   x   # c\n', 'image', 'x', image],
    ['a key that is a number', '80: {image: x}\n', '80.image', 'x', image],
  ])('%s', (_name, text, field, before, after) => {
    const done = set(text, field);
    const at = done.indexOf(after);
    expect(done).toBe(text.slice(0, at) + after + text.slice(at + before.length));
    expect(text.slice(at, at + before.length)).toBe(before);
  });

  it.each([
    ['nothing was there', 'image:\nb: 1\n', 'image: v1\nb: 1\n', 'v1'],
    ['nothing but a space was there', 'image: \nb: 1\n', 'image: v1\nb: 1\n', 'v1'],
    ['a tag looks like a number', 'image: v1\n', 'image: "1.10"\n', '1.10'],
    ['a tag looks like a time', 'image: v1\n', 'image: "8:30"\n', '8:30'],
    ['a tag is a word of YAML 1.1', 'image: v1\n', 'image: "yes"\n', 'yes'],
    ['a commit is all digits', 'image: v1\n', 'image: "1234567"\n', '1234567'],
    ['a commit looks like a number', 'image: v1\n', 'image: "12e4567"\n', '12e4567'],
    ['the quotes were single', "image: 'v1'\n", "image: '1.10'\n", '1.10'],
  ])('where %s', (_name, text, after, value) => {
    expect(set(text, 'image', value)).toBe(after);
  });

  it('in JSON, with tabs', () => {
    const text = '{\n\t"image": {"tag": 7, "name": "a\\/b"},\n\t"x": [1,\n\t\t2]\n}\n';
    expect(set(text, 'image.tag', 'v2', 'values.JSON')).toBe(text.replace('7', '"v2"'));
  });

  it('tells what was there before', () => {
    expect(setField('a.yaml', 'image: "x"', 'image', 'y')).toMatchObject({ before: 'x' });
    expect(setField('a.yaml', 'image:', 'image', 'y')).toMatchObject({ before: null });
  });

  it('whatever the file is', () => {
    const key = fc.constantFrom('a', 'b', 'image', 'tag', 'x.y', 'on');
    const leaf = fc.oneof(
      fc.string(),
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      fc.constant('2 lines\nof text\n'),
    );
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        leaf,
        tie('map'),
        fc.array(tie('tree'), { maxLength: 3 }),
      ),
      map: fc.dictionary(key, tie('tree'), { maxKeys: 4, noNullPrototype: true }),
    }));
    fc.assert(
      fc.property(tree, fc.boolean(), fc.constantFrom('v1.2', '007', 'no', image), (value, isJson, wanted) => {
        const text = isJson ? JSON.stringify({ value }, null, 1) : stringify({ value });
        for (const path of leaves({ value })) {
          const field = path.map((it) => (typeof it === 'number' ? `[${it}]` : `["${it}"]`)).join('');
          const done = setField(isJson ? 'a.json' : 'a.yaml', text, field, wanted);
          const isBlock = done.kind === 'refused' && done.message.includes('block of text');
          if (isBlock) continue;
          if (done.kind === 'refused') throw new Error(done.message);
          const read: unknown = parseAllDocuments(done.text)[0]?.toJS();
          expect(read).toEqual(changed({ value }, path, wanted));
          expect(parseAllDocuments(done.text)).toHaveLength(1);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('what can not be set is refused with what is there', () => {
  it.each<[string, string, string, RegExp]>([
    [
      'a misspelt key',
      deployment,
      'spec.template.spec.containers[1].imag',
      /^api\.yaml: there is no "imag" in spec\.template\.spec\.containers\[1\]\. Did you mean "image"\?$/,
    ],
    ['a key that is not there', deployment, 'spec.template.zzzzzz', /no "zzzzzz" in spec\.template\. There is spec\./],
    [
      'no such item',
      deployment,
      'spec.template.spec.containers[2].image',
      /no \[2\] in spec\.template\.spec\.containers: it has 2 items/,
    ],
    [
      'no item of this name',
      deployment,
      'spec.template.spec.containers[name=apo].image',
      /no item in .*containers matches \[name=apo\]\. Did you mean "api"\?/,
    ],
    ['two items of this name', 'a: [{n: x, i: 1}, {n: x, i: 2}]', 'a[n=x].i', /2 items in a match \[n=x\]/],
    ['a map', deployment, 'spec.template', /"spec\.template" is a map, not a single value/],
    ['a list', deployment, 'spec.template.spec.containers', /is a list, not a single value/],
    ['a value that is no list', deployment, 'spec.replicas[0]', /"spec\.replicas" is no list but a single value/],
    [
      'a value that is no map',
      deployment,
      'spec.replicas.image',
      /no "image" in spec\.replicas: that is a single value/,
    ],
    ['an alias', 'a: &i x\nb: *i\n', 'b', /"b" is \*i, which stands for something that is written elsewhere/],
    ['through an alias', 'a: &i {image: x}\nb: *i\n', 'b.image', /"b" is \*i/],
    ['an anchor that is used', 'a: &i x\nb: *i\n', 'a', /used in other places too, by \*i/],
    [
      'what comes by a merge',
      'a: &i {image: x}\nb: {<<: *i, c: 1}\n',
      'b.image',
      /no "image" in b.* << is set where that is written/,
    ],
    ['a block of text', 'a: |\n  x\n', 'a', /block of text/],
    ['a tagged number', 'a: !!int 7\n', 'a', /has the tag/],
    ['a field of two documents', 'image: x\n---\nimage: y\n', 'image', /in 2 of its documents\. Say which/],
    [
      'a document that is not there',
      two,
      '[kind=Ingress].image',
      /no of its 3 documents match \[kind=Ingress\]; there are \[0\] Deployment api, \[1\] Service api and \[2\] Job migrate/,
    ],
    ['an empty file', '# nothing\n', 'image', /the file is empty/],
    ['no YAML', 'a: 1\nb: [1\nc: 2\n', 'a', /it isn't YAML at line \d, column \d/],
    ['a template', 'image: {{ .Values.image }}\n', 'image', /api\.yaml: /],
    ['a key that is there twice', 'a: 1\na: 2\n', 'a', /the key "a" is there twice, again at line 2, column 1/],
    ['no path', deployment, 'spec..x', /is no path: it can't be read from character 5/],
    ['an empty path', deployment, '', /it is empty/],
    ['no closing bracket', deployment, 'a[0', /can't be read from character 2/],
  ])('%s', (_name, text, field, message) => {
    expect(refusal(text, field)).toMatch(message);
  });

  it('broken JSON, with the place', () => {
    expect(refusal('{"a": 1,}', 'a', 'v1', 'a.json')).toMatch(/a\.json: it isn't JSON: .*position 8/);
    expect(refusal('a: 1', 'a', 'v1', 'a.json')).toMatch(/isn't JSON/);
  });

  it.each(['', 'a b', 'x\n  y: z', '"', '${x}', '-x', '#', '@x', "x'"])('a value that is no image (%j)', (value) => {
    expect(refusal('image: x', 'image', value)).toMatch(/is no image, digest or tag/);
  });
});

it('a field gets the whole reference, the digest or the tag', () => {
  expect(fieldValue(image, 'v1', 'reference')).toBe(image);
  expect(fieldValue(image, 'v1', 'digest')).toBe(digest);
  expect(fieldValue(image, 'v1', 'tag')).toBe('v1');
  expect(fieldValue(image, null, 'tag')).toBeNull();
  expect(fieldValue('ghcr.io/acme/shop:v1', null, 'digest')).toBeNull();
});

it('a path is read the same however it is written', () => {
  expect(parseField('[ "a" ].b')).toEqual(parseField('a["b"]'));
  expect(parseField("a[ n = 'x y' ]")).toEqual(parseField('a[n="x y"]'));
});

type Way = readonly (string | number)[];

function leaves(value: unknown, way: Way = []): readonly Way[] {
  if (Array.isArray(value)) return value.flatMap((it, index) => leaves(it, [...way, index]));
  if (typeof value !== 'object' || value === null) return [way];
  return Object.entries(value).flatMap(([key, it]) => leaves(it, [...way, key]));
}

function changed(value: unknown, [step, ...rest]: Way, wanted: string): unknown {
  if (step === undefined) return wanted;
  if (Array.isArray(value))
    return value.map((it, index) => (index === step ? changed(it, rest, wanted) : it) as unknown);
  const map = value as Record<string, unknown>;
  return { ...map, [step]: changed(map[step], rest, wanted) };
}

it('docs/gitops.md names only fields that can be read', () => {
  const page = readFileSync(new URL('../../docs/gitops.md', import.meta.url), 'utf8');
  const table = [...page.matchAll(/^\| `([^`]+)` \|/gm)].map((it) => it[1] ?? '');
  const inFiles = [...page.matchAll(/field: "?([^"\n,}]+)"?/g)].map((it) => it[1]?.trim() ?? '');
  expect(table.length + inFiles.length).toBeGreaterThan(7);
  for (const field of [...table, ...inFiles]) expect([field, typeof parseField(field)]).toEqual([field, 'object']);
});
