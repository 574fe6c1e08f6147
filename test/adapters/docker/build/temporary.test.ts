import { describe, expect, it } from '@jest/globals';
import { createTemporaries } from '#src/adapters/docker/build/temporary.ts';

describe('createTemporaries', () => {
  it('removes a name at once when nothing else is built, also after a failure', async () => {
    const removed: string[] = [];
    const run = createTemporaries(async (name) => void removed.push(name));
    expect(await run('a', async () => 1)).toBe(1);
    expect(removed).toEqual(['a']);
    await expect(run('b', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(removed).toEqual(['a', 'b']);
  });

  it('removes nothing while another build is under way, and builds nothing while it removes', async () => {
    const events: string[] = [];
    const gate = Promise.withResolvers<void>();
    const run = createTemporaries(async (name) => {
      await new Promise((resolve) => setImmediate(resolve));
      events.push(`removed ${name}`);
    });
    const slow = run('slow', () => gate.promise);
    await run('quick', async () => void events.push('built quick'));
    expect(events).toEqual(['built quick']);
    gate.resolve();
    await new Promise((resolve) => setTimeout(resolve, 0));
    await Promise.all([slow, run('next', async () => void events.push('built next'))]);
    expect(events).toEqual(['built quick', 'removed quick', 'removed slow', 'built next', 'removed next']);
  });
});
