import { playStory } from './story.ts';
import { startWorld } from './world.ts';

const begun = performance.now();
const interrupted = new Promise<'interrupted'>((resolve) => {
  process.once('SIGINT', () => resolve('interrupted'));
  process.once('SIGTERM', () => resolve('interrupted'));
});

// Waits of a story that was broken off would keep the process for minutes.
process.exit(await demo(process.argv.includes('--keep')));

/**
 * Plays the demo and prints it with times. `keep` leaves everything running until Ctrl-C and prints the addresses.
 * Answers the exit code: 0 the story went as told, 1 it didn't, 130 it was interrupted. All that was started is ended.
 */
async function demo(keep: boolean): Promise<number> {
  tell('Starting a GitHub, a registry, a cluster and the server.');
  await using world = await startWorld({ kubeconfig: process.env['KUBECONFIG'] || null });
  let code = 0;
  try {
    if ((await Promise.race([playStory(world, tell), interrupted])) === 'interrupted') return 130;
    tell('Done: everything went as it should.');
  } catch (error) {
    code = 1;
    tell(`It went wrong: ${error instanceof Error ? error.message : String(error)}`);
    console.log(`\nThe end of the server's log:\n${world.serverLog()}`);
  }
  if (keep) {
    console.log(`
GitHub     ${world.github.url}/acme/shop
Slipway    ${world.slipway}/  (token: ${world.token})
           ${world.slipway}/environments
           SLIPWAY_URL=${world.slipway} SLIPWAY_TOKEN=${world.token} npx slipway apps --repository acme/shop
Registry   ${world.registry.url}

Ctrl-C ends it all.`);
    await interrupted;
  }
  return code;
}

function tell(line: string): void {
  const seconds = ((performance.now() - begun) / 1000).toFixed(1).padStart(6);
  console.log(line.startsWith(' ') ? `          ${line}` : `${seconds} s  ${line}`);
}
