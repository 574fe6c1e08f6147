import { join } from 'node:path';
import { type KeyRing, openKeys } from './adapters/secrets/keys.ts';
import type { Settings } from './settings.ts';

/** The keys of this installation, for the server and for the command line beside it. PlatformError if they can't be used. */
export function installationKeys(settings: Settings): KeyRing {
  const keys = openKeys({
    given: settings.SLIPWAY_SECRET_KEY,
    file: settings.SLIPWAY_SECRET_KEY_FILE,
    own: { path: join(settings.SLIPWAY_HOME, 'secret.key'), isUsed: settings.DATABASE_URL === null },
  });
  // Who set it wrongly is told at once, not by the first job.
  keys.all();
  return keys;
}
