import { statSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { openSecrets, type SecretKeeper } from '#src/adapters/secrets/secrets.ts';
import { openStore } from '#src/adapters/store/store.ts';
import type { AuditRecord, Store } from '#src/engine/store.ts';
import { UserError } from '#src/model/outcome.ts';
import { installationKeys } from '#src/secret-keys.ts';
import { readSettings, type Settings } from '#src/settings.ts';

/** The server's data, opened beside the server. */
export interface Installation {
  readonly store: Store;
  readonly secrets: SecretKeeper;
  /** Where its keys come from: `the file /etc/slipway/secret.key`. */
  readonly keys: string;
  /** Who sits here: the name of the system's user. */
  readonly user: string;
  readonly now: () => number;
  /** Which data this is, for people: `the data in /var/lib/slipway`. Never a password. */
  readonly data: string;
  /** Records that this user did it. */
  readonly record: (done: Pick<AuditRecord, 'action' | 'repository' | 'subject' | 'reason'>) => Promise<void>;
}

/**
 * Opens the data that the settings name, as the server reads them (`.env` too), does the work and closes it. UserError if
 * there is no data, or it belongs to another user.
 */
export async function withInstallation<T>(work: (installation: Installation) => Promise<T>): Promise<T> {
  try {
    process.loadEnvFile();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const settings = readSettings();
  const where = settings.DATABASE_URL === null ? { path: ownDatabase(settings) } : { url: settings.DATABASE_URL };
  const keys = installationKeys(settings);
  const clock = { now: Date.now };
  const store = await openStore({ ...where, clock });
  const user = userName();
  try {
    return await work({
      store,
      secrets: openSecrets({ store: store.secrets, keys, clock }),
      user,
      now: clock.now,
      data: dataWords(settings),
      keys: keys.where,
      record: (done) =>
        store.audit.append({ ...done, at: clock.now(), actor: `operator (${user})`, decision: 'allowed' }),
    });
  } finally {
    await store.close();
  }
}

/**
 * The file of the database, which must be there: what is set in a new one, no server would ever read. Files that another
 * user makes beside it would lock the server out.
 */
function ownDatabase({ SLIPWAY_HOME: home }: Settings): string {
  const path = join(home, 'slipway.db');
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) {
    throw new UserError(
      `There is no data of a Slipway server in ${home}. Run this where the server runs, with its settings (SLIPWAY_HOME or DATABASE_URL), after the server was started once.`,
    );
  }
  const uid = process.getuid?.() ?? stat.uid;
  if (uid === stat.uid) return path;
  throw new UserError(
    `The data in ${home} belongs to another user than you (its number is ${stat.uid}, yours ${uid}). Run this as that user: sudo -u '#${stat.uid}' ...`,
  );
}

function dataWords({ DATABASE_URL: url, SLIPWAY_HOME: home }: Settings): string {
  if (url === null) return `the data in ${home}`;
  try {
    const { host, pathname } = new URL(url);
    return `the database ${decodeURIComponent(pathname.slice(1))}${host === '' ? '' : ` on ${host}`}`;
  } catch {
    return 'the database of DATABASE_URL';
  }
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `user ${process.getuid?.() ?? '?'}`;
  }
}
