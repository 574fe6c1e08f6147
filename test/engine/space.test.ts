import { describe, expect, it } from '@jest/globals';
import { createSpace } from '#src/engine/space.ts';

const mib = 1024 ** 2;

function disk(free: number, total = 100 * 1024) {
  const state = { free, total, now: 0, looks: 0 };
  const space = createSpace({
    path: '/var/lib/slipway',
    reserve: 1024 * mib,
    watch: () => state.now,
    statfs: async () => {
      state.looks += 1;
      if (state.free < 0) throw new Error('ENOENT');
      return { bsize: 4096, blocks: state.total * 256, bavail: state.free * 256 };
    },
  });
  return { state, space };
}

describe('the reserve', () => {
  it('is no matter while there is room', async () => {
    expect(await disk(1024).space.shortage()).toBeNull();
  });

  it('says what is free, what is kept and what to do', async () => {
    expect(await disk(1023).space.shortage()).toBe(
      'Only 1023 MiB of 100.0 GiB are free on the disk that holds /var/lib/slipway, and 1.0 GiB are kept for the ' +
        'database (SLIPWAY_RESERVE). Free some space, or have less kept (the settings SLIPWAY_KEEP_...); jobs go on by themselves then.',
    );
  });

  it('says it if the whole disk is smaller', async () => {
    expect(await disk(500, 512).space.shortage()).toMatch(/smaller than the reserve: .* lower SLIPWAY_RESERVE/);
  });

  it('is looked at once a second at most, and the answer changes by itself', async () => {
    const { state, space } = disk(10);
    for (let i = 0; i < 50; i++) expect(await space.shortage()).not.toBeNull();
    expect(state.looks).toBe(1);
    state.free = 5000;
    state.now = 1000;
    expect(await space.shortage()).toBeNull();
    expect(state.looks).toBe(2);
  });

  it('is looked at again after every 4 MB that are written', async () => {
    const { state, space } = disk(5000);
    for (let i = 0; i < 16 * 8; i++) await space.shortageFor(mib / 16);
    // The first look, and one behind each 4 MB.
    expect(state.looks).toBe(2);
    for (let i = 0; i < 16 * 8; i++) await space.shortageFor(mib / 16);
    expect(state.looks).toBe(4);
  });

  it('holds nobody up where nothing can be known, or it is off', async () => {
    expect(await disk(-1).space.shortage()).toBeNull();
    const off = createSpace({ path: '/nowhere', reserve: null, statfs: () => Promise.reject(new Error('asked')) });
    expect(await off.shortage()).toBeNull();
  });
});
