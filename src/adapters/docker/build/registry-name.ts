export interface RegistryCredentials {
  readonly username: string;
  readonly password: string;
}

/** The operator's credentials for a registry (`ghcr.io`, `registry.local:5000`, `docker.io`), or null. */
export type CredentialsOf = (host: string) => RegistryCredentials | null;

/** Host of the registry that a repository's name leads to: `docker.io` if it names none. */
export function registryOf(image: string): string {
  const slash = image.indexOf('/');
  const first = slash < 0 ? '' : image.slice(0, slash);
  const isHost = first === 'localhost' || first.includes('.') || first.includes(':');
  // The engine takes the old name for the new one, and so must whoever looks up an account.
  return isHost && first !== 'index.docker.io' ? first : 'docker.io';
}
