import { expect, it } from '@jest/globals';
import { registryOf } from '#src/adapters/docker/build/registry-name.ts';

it.each([
  ['ghcr.io/acme/shop', 'ghcr.io'],
  ['registry:5000/shop', 'registry:5000'],
  ['localhost/shop', 'localhost'],
  ['acme/shop', 'docker.io'],
  ['busybox', 'docker.io'],
  ['docker.io/acme/shop', 'docker.io'],
  ['index.docker.io/acme/shop', 'docker.io'],
])('%s is pushed to %s', (image, registry) => {
  expect(registryOf(image)).toBe(registry);
});
