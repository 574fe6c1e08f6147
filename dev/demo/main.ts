import { playStory } from './story.ts';
import { startWorld } from './world.ts';

/**
 * Plays the demo and prints it with times. `--keep` leaves everything running until Ctrl-C and prints the addresses.
 * Exit code: 0 the story went as told, 1 it didn't.
 */
const keep = process.argv.includes('--keep');
const begun = performance.now();
const seconds = (): string => ((performance.now() - begun) / 1000).toFixed(1).padStart(6);
const tell = (line: string): void =>
  console.log(line.startsWith(' ') ? `          ${line}` : `${seconds()} s  ${line}`);

tell('Starting a GitHub, a registry, a cluster and the server.');
await using world = await startWorld({ kubeconfig: process.env['KUBECONFIG'] || null });
try {
  await playStory(world, tell);
  tell('Done: everything went as it should.');
} catch (error) {
  process.exitCode = 1;
  tell(`It went wrong: ${error instanceof Error ? error.message : String(error)}`);
  console.log(`\nThe end of the server's log:\n${world.serverLog()}`);
}
if (keep) {
  console.log(`
GitHub     ${world.github.url}/acme/shop
Slipway    ${world.slipway}/  (token: ${world.token})
Registry   ${world.registry.url}

Ctrl-C ends it all.`);
  await new Promise((resolve) => {
    process.once('SIGINT', resolve);
    process.once('SIGTERM', resolve);
  });
}
