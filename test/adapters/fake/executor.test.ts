import { setTimeout as sleep } from 'node:timers/promises';
import { type FakeStep, openFakeExecutor } from '#src/adapters/fake/executor.ts';
import { PlatformError } from '#src/model/outcome.ts';
import { executorContract } from '#test/contracts/executor.ts';

executorContract('The fake', async () => {
  const down = openFakeExecutor();
  down.failure = new PlatformError('Docker is down.');
  return {
    executor: openFakeExecutor(playShell),
    image: 'any',
    tree: { path: '/tree', [Symbol.asyncDispose]: async () => {} },
    down,
    dispose: async () => {},
  };
});

/** As much of a shell as the contract speaks. */
async function playShell(script: string, step: FakeStep): Promise<number> {
  const [, text, file] = /^echo (.*?)(?: > (\S+))?$/.exec(script) ?? [];
  const [command, argument = ''] = script.split(' ');
  if (text !== undefined && file !== undefined) step.files.set(file, `${text}\n`);
  else if (text !== undefined) step.write(`${text}\n`);
  else if (command === 'cat') step.write(step.files.get(argument) ?? 'hello from the tree\n');
  else if (command === 'exit') return Number(argument);
  else if (command === 'sleep') await sleep(Number(argument) * 1000, undefined, { signal: step.signal });
  return 0;
}
