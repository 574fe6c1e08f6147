import Docker from 'dockerode';
import { JOBS_NETWORK } from '#src/adapters/docker/network.ts';

// node dev/jobs-network.ts [remove]: exits with 0 if the engine has the network that jobs share, and removes it if asked
// to; with another code if there is none, or somebody uses it.
setTimeout(() => process.exit(1), 10_000).unref();
try {
  const network = new Docker().getNetwork(JOBS_NETWORK);
  await (process.argv[2] === 'remove' ? network.remove() : network.inspect());
} catch {
  process.exit(1);
}
