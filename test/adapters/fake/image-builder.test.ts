import { type FakeBuild, FakeImageBuilder } from '#src/adapters/fake/image-builder.ts';
import { type BuildKind, imageBuilderContract } from '#test/contracts/image-builder.ts';

imageBuilderContract('FakeImageBuilder', async (secret) => {
  const behaviours: Readonly<Record<BuildKind, FakeBuild>> = {
    good: { log: `the word is ${secret}` },
    broken: { failure: 'Dockerfile:2: `RUN false` ended with exit code 1.' },
    endless: { endless: true },
    refused: { refused: 'The registry refused it.' },
    unreachable: { unreachable: true },
  };
  return {
    builder: new FakeImageBuilder((request) => behaviours[request.jobId as BuildKind]),
    image: () => 'registry.test/acme/shop',
    tree: async () => ({ path: '/', async [Symbol.asyncDispose]() {} }),
    async close() {},
  };
});
