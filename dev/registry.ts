import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startProcess } from './processes.ts';

export interface Registry extends AsyncDisposable {
  /** `127.0.0.1:PORT`: the first part of the names of its images. */
  readonly host: string;
  readonly url: string;
  stop(): Promise<void>;
}

interface Account {
  readonly username: string;
  readonly password: string;
  /** The registry takes bcrypt only; precomputed, because nothing on a plain machine computes it. */
  readonly bcrypt: string;
}

/** Accounts for registries that live as long as a test. They open nothing else. */
export const accounts = {
  anchor: {
    username: 'anchor',
    password: 'anchor-and-chain',
    bcrypt: '$2b$06$abcdefghijklmnopqrstuu8JFKbt67JIhaWwpKTtWI13qxEt5FClm',
  },
  rope: {
    username: 'rope',
    password: 'rope-and-rudder',
    bcrypt: '$2b$06$bcdefghijklmnopqrstuvOCLUmLr6/tTFVLMNFB5KlUGVX06sQIoq',
  },
} as const satisfies Record<string, Account>;

/**
 * Debian's docker-registry on a free loopback port, with its images in a temporary folder that goes
 * with it. With an account nobody else gets in; without, everybody does.
 */
export async function startRegistry(account: Account | null = null): Promise<Registry> {
  const folder = await mkdtemp(join(tmpdir(), 'slipway-registry-'));
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    const config = join(folder, 'config.json');
    await writeFile(join(folder, 'htpasswd'), account ? `${account.username}:${account.bcrypt}\n` : '');
    await writeFile(config, JSON.stringify(configuration(folder, account !== null)));
    const registry = await startProcess('docker-registry', ['serve', config], {
      ready: /listening on ([\d.]+:\d+)/,
      deadlineMs: 20_000,
      env: { OTEL_TRACES_EXPORTER: 'none' },
    });
    const host = registry.ready[1] ?? '';
    const stop = async () => {
      await registry.stop();
      await remove();
    };
    return { host, url: `http://${host}`, stop, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await remove();
    throw error;
  }
}

function configuration(folder: string, closed: boolean): unknown {
  return {
    version: '0.1',
    log: { level: 'info', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(folder, 'images') }, delete: { enabled: true } },
    http: { addr: '127.0.0.1:0' },
    ...(closed ? { auth: { htpasswd: { realm: 'slipway', path: join(folder, 'htpasswd') } } } : {}),
  };
}
