import { expect, it } from '@jest/globals';
import { apart } from '#src/adapters/docker/build/apart.ts';
import type { BuildRequest } from '#src/engine/ports.ts';

const key = Buffer.alloc(32, 7);
function of(change: Partial<BuildRequest> = {}, build: Partial<BuildRequest['build']> = {}, secret = key) {
  const spec = { context: '.', dockerfile: 'Dockerfile', image: null, target: null, args: {}, ...build };
  return apart(secret, { repository: 'acme/shop', tags: [], trusted: true, build: spec, ...change } as BuildRequest);
}

it('is of the repository, in any capital letters, of the trust, and of what is pushed', () => {
  const mounts = [of(), of({ tags: ['1'] }), of({ trusted: false }), of({ repository: 'acme/other' })].map(
    (it) => it.mounts,
  );
  expect(new Set(mounts).size).toBe(4);
  expect(of({ repository: 'Acme/SHOP' })).toEqual(of());
  // No repository's name makes it another's use.
  expect(of({ repository: 'acme/shop pushed', trusted: false }).mounts).not.toBe(of({ tags: ['1'] }).mounts);
});

it('is shared by trusted builds without secrets and proxies alone', () => {
  expect(of({ repository: 'acme/other' }).layers).toBe(of().layers);
  const apartOnes = [
    of(),
    of({ trusted: false }),
    of({ repository: 'acme/other', trusted: false }),
    of({}, { secrets: {} }),
    of({ repository: 'acme/other' }, { args: { http_proxy: 'http://evil' } }),
  ].map((it) => it.layers);
  expect(new Set(apartOnes).size).toBe(5);
});

it("can't be told without the server's key", () => {
  const other = of({}, {}, Buffer.alloc(32, 8));
  expect([other.layers, other.mounts]).not.toContain(of().layers);
  expect(other.mounts).not.toBe(of().mounts);
  expect(JSON.stringify(of())).not.toContain('acme');
});
