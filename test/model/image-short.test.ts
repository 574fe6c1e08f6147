import { expect, it } from '@jest/globals';
import { imagesBrought } from '#src/model/image-short.ts';

const digest = `r/shop@sha256:${'a'.repeat(64)}`;

it.each<[string, readonly string[], Parameters<typeof imagesBrought>[0]]>([
  [
    'each once',
    [digest, 'r/web:1'],
    { changes: [{ after: digest }, { after: 'r/web:1' }, { after: digest }], details: {} },
  ],
  ['of a commit elsewhere', [digest], { changes: [], details: { images: { api: digest, web: digest } } }],
  [
    'what became of the workloads first',
    ['r/web:1'],
    { changes: [{ after: 'r/web:1' }], details: { images: { a: digest } } },
  ],
  ['none', [], { changes: [{ after: '' }], details: {} }],
])('the images that a deployment brought: %s', (_, images, deployment) => {
  expect(imagesBrought(deployment)).toEqual(images);
});
