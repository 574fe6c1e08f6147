import type { FakeStep } from '#src/adapters/fake/executor.ts';
import type { RunView } from '#src/model/run.ts';
import type { scenario } from './world.ts';

export type World = Awaited<ReturnType<typeof scenario>>;

/** A script whose steps stand until they are let go or stopped; `began` counts what begins. */
export function held() {
  const began: string[] = [];
  const free = new Map<string, () => void>();
  const waiting: (() => void)[] = [];
  return {
    began,
    script: async (script: string, { signal, request }: FakeStep): Promise<number> => {
      began.push(`${script} ${request.env['GITHUB_SHA'] ?? ''}`.trim());
      for (const look of waiting) look();
      const { promise, resolve } = Promise.withResolvers<void>();
      free.set(script, resolve);
      signal.addEventListener('abort', () => resolve(), { once: true });
      if (signal.aborted) resolve();
      await promise;
      return signal.aborted ? 143 : 0;
    },
    /** Resolves once so many steps began. */
    async begun(count: number): Promise<void> {
      if (began.length >= count) return;
      await new Promise<void>((resolve) => waiting.push(() => began.length >= count && resolve()));
    },
    letGo: (script = 'work') => free.get(script)?.(),
  };
}

export function idOf(result: string): string {
  const id = /run (\w+)/i.exec(result)?.[1];
  if (id === undefined) throw new Error(`No run: ${result}`);
  return id;
}

export async function viewOf(s: World, id: string): Promise<RunView> {
  const view = await s.store.runs.view(id);
  if (view === null) throw new Error('The run is gone.');
  return view;
}

export async function ended(s: World, id: string): Promise<RunView> {
  await s.engine.completed(id);
  return await viewOf(s, id);
}

export async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 5));
}
