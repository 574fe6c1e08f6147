import { describe, expect, it } from '@jest/globals';
import { compileFile } from '#src/dialects/index.ts';
import { environmentGroup } from '#src/model/concurrency.ts';
import type { Trigger } from '#src/model/event.ts';
import type { PlannedJob } from '#src/model/plan.ts';
import { keyAtPush } from '#src/planner/pull-request.ts';
import { sha } from '#test/model/samples.ts';
import { jobs, keys, planned, pull, push, SHOP } from './planning.ts';

describe('a pull request', () => {
  const PREVIEW = `${SHOP}
preview:
  manifests: deploy
  images: { ghcr.io/acme/shop: image }
  url: https://pr-\${{ event.number }}.example.com
  timeout: 5m
  keep: 12h
`;
  const compiled = compileFile('slipway.yml', PREVIEW);
  const spec = compiled.kind === 'pipeline' ? compiled.pipeline.preview : null;
  if (!spec) throw new Error('no preview');
  const preview = { kind: 'preview', spec } as const;
  const noEnvironments = SHOP.replace(/environments:[^]*/, '').replace(', environment: production', '');
  const tagsOf = (list: readonly PlannedJob[]) => list.flatMap(({ work }) => (work.kind === 'image' ? work.tags : []));

  it('says what a deployment would change', () => {
    const list = jobs(noEnvironments, pull(), { showsPlan: true });
    expect(keys(list)).toEqual(['test', 'image', 'smoke', 'deployment plan']);
    expect(list.at(-1)).toMatchObject({ needs: [], timeoutMinutes: 5, priority: 0, work: { kind: 'plan' } });
    expect(tagsOf(list)).toEqual([]);
  });

  it('gets its preview, and the image for it', () => {
    const list = jobs(noEnvironments, pull(), { preview });
    expect(keys(list)).toEqual(['test', 'image', 'smoke', 'preview']);
    expect(tagsOf(list)).toEqual([sha]);
    expect(list.at(-1)).toMatchObject({
      needs: ['image'],
      skip: null,
      timeoutMinutes: 5,
      concurrency: { group: environmentGroup('preview/pr-7'), cancelInProgress: false, queue: 'single' },
      work: {
        kind: 'preview',
        environment: 'preview/pr-7',
        number: 7,
        url: 'https://pr-7.example.com',
        manifests: ['deploy'],
        images: { 'ghcr.io/acme/shop': 'image' },
        keepMinutes: 720,
      },
    });
  });

  it('pushes no image that the preview does not have', () => {
    const file = noEnvironments.replace('  smoke:', '  other: { build: { image: ghcr.io/acme/other } }\n  smoke:');
    const list = jobs(file, pull(), { preview });
    expect(list.map(({ key, work }) => (work.kind === 'image' ? `${key} ${work.tags.length}` : key))).toEqual([
      'test',
      'image 1',
      'other 0',
      'smoke',
      'preview',
    ]);
  });

  it.each([
    [
      'image: {',
      'picture: {',
      'The preview has the image of the job "image", which the pipeline file of this commit doesn\'t build.',
    ],
    [
      'image: { needs: test',
      'image: { if: false, needs: test',
      'The job "image" doesn\'t build its image: The condition `false` is false for this event.',
    ],
    [
      'needs: test, build: { image: ghcr.io/acme/shop }',
      'image: x, run: y',
      'The preview has the image of the job "image", which the pipeline file of this commit doesn\'t build.',
    ],
  ])('has no preview without the image: %s', (from, to, skip) => {
    expect(jobs(noEnvironments.replace(from, to), pull(), { preview }).at(-1)?.skip).toBe(skip);
  });

  it('says why there is no preview', () => {
    expect(jobs(noEnvironments, pull(), { preview: { kind: 'skipped', reason: 'Not yet.' } }).at(-1)).toMatchObject({
      key: 'preview',
      skip: 'Not yet.',
    });
  });

  const late = { ...pull(), added: true } as Trigger;

  it.each<[string, Parameters<typeof jobs>[2], readonly string[]]>([
    ['nothing', {}, []],
    ['a plan', { showsPlan: true }, ['deployment plan']],
    ['a preview', { preview }, ['preview image', 'preview']],
    ['both', { preview, showsPlan: true }, ['preview image', 'preview', 'deployment plan']],
    ['why there is no preview', { preview: { kind: 'skipped', reason: 'Not yet.' } }, ['preview']],
    ['nothing, if a stranger opened it', { preview, showsPlan: true, strange: true }, []],
  ])('that is opened after the push adds %s to it', (_, options, expected) => {
    const list = jobs(`${noEnvironments}concurrency: all\n`, late, options);
    expect(keys(list)).toEqual(expected);
    expect(tagsOf(list)).toEqual(expected.includes('preview image') ? [sha] : []);
  });

  it('that is opened after the push builds the images behind the jobs of the push, in no group of the whole run', () => {
    const file = `${noEnvironments.replace(
      'image: { needs: test',
      'base: { build: { image: ghcr.io/acme/base } }\n  image: { needs: [test, base]',
    )}concurrency: all\n`;
    const both = { kind: 'preview', spec: { ...spec, images: { a: 'image', b: 'base' } } } as const;
    const list = jobs(file, late, { preview: both });
    expect(list.map(({ key, id, needs }) => [key, id, needs])).toEqual([
      ['preview base', 'base', []],
      ['preview image', 'image', ['test', 'preview base']],
      ['preview', 'slipway:preview', ['preview base', 'preview image']],
    ]);
    const answer = planned(file, late, { preview: both });
    expect(answer).toMatchObject({ kind: 'plan', plan: { concurrency: null } });
    expect(planned(file, pull())).toMatchObject({ kind: 'plan', plan: { concurrency: { group: 'all' } } });
    expect(['preview base', 'image', 'preview'].map(keyAtPush)).toEqual(['base', 'image', 'preview']);
  });

  it.each<[string, Trigger, boolean | undefined]>([
    ['a fork', pull(true), undefined],
    ['a stranger', pull(false), true],
    ['a push', push('topic'), false],
  ])('of %s has neither', (_, trigger, strange) => {
    const list = jobs(noEnvironments, trigger, {
      preview,
      showsPlan: true,
      ...(strange === undefined ? {} : { strange }),
    });
    expect(keys(list)).toEqual(['test', 'image', 'smoke']);
    expect(tagsOf(list)).toEqual([]);
  });

  it('keeps the names of both', () => {
    const file = noEnvironments.replace('test: {', 'preview: { image: x, run: y }\n  test: {');
    expect(keys(jobs(file, pull(), { preview, showsPlan: true }))).toEqual([
      'preview #2',
      'test',
      'image',
      'smoke',
      'preview',
      'deployment plan',
    ]);
    expect(keys(jobs(file, pull()))).toContain('preview');
  });
});
