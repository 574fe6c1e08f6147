import { seal as sealValue } from '#src/adapters/secrets/seal.ts';
import { UserError } from '#src/model/outcome.ts';
import { isRepositoryName } from '#src/model/secret.ts';
import { withInstallation } from './installation.ts';
import { readValue, warnOfShort } from './value.ts';

/**
 * Prints the value from standard input, sealed for the repository. `server`: address of the server whose key is taken;
 * null: the one whose data is here.
 */
export async function seal(repository: string, server: string | null): Promise<void> {
  if (!isRepositoryName(repository)) throw new UserError(`${JSON.stringify(repository)} doesn't read OWNER/REPO.`);
  const key = server === null ? await ownKey(repository) : await fetchKey(repository, server);
  const value = await readValue();
  warnOfShort(value);
  console.log(sealValue(key, repository, value));
}

async function ownKey(repository: string): Promise<string> {
  try {
    return await withInstallation(({ secrets }) => secrets.sealKey(repository));
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new UserError(`${error.message} From elsewhere: slipway seal --server URL ${repository}`, { cause: error });
  }
}

async function fetchKey(repository: string, server: string): Promise<string> {
  if (!/^https?:\/\//.test(server) || !URL.canParse(server)) {
    throw new UserError('--server must be the address of the server, as https://ci.acme.example.');
  }
  const { protocol, hostname } = new URL(server);
  if (protocol === 'http:' && !['localhost', '127.0.0.1', '[::1]'].includes(hostname)) {
    console.error('slipway: warning: over http somebody on the way may put in a key of their own: use https.');
  }
  const url = `${server.replace(/\/+$/, '')}/${repository}/seal-key`;
  const failed = (why: string): never => {
    throw new UserError(`${url} gave no key: ${why}. Is this the address of your Slipway server?`);
  };
  const response = await fetch(url, { signal: AbortSignal.timeout(30_000), redirect: 'error' }).catch(
    (error: unknown) => failed(reasonOf(error)),
  );
  if (!response.ok) failed(`it answers ${response.status}`);
  const text = await response.text().catch((error: unknown) => failed(reasonOf(error)));
  return text.startsWith('seal-key:') ? text : failed('it answers something else');
}

function reasonOf(error: unknown): string {
  const { cause, message } = error as Error;
  return cause instanceof Error ? cause.message : message;
}
