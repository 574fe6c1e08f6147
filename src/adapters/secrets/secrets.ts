import type { Clock, Secrets } from '#src/engine/ports.ts';
import type { SealedSecret, SecretStore } from '#src/engine/store.ts';
import { PlatformError, UserError } from '#src/model/outcome.ts';
import { fullName } from '#src/model/repository.ts';
import { chooseSecret, refusalWords } from '#src/model/secret-rules.ts';
import type { SecretInfo, SecretLimits, SecretScope } from '#src/model/secret.ts';
import { decrypt, encrypt, keyIdOf } from './cipher.ts';
import type { KeyRing } from './keys.ts';
import { sealKey, unseal } from './seal.ts';

/** How long a replaced value is kept: jobs that got it may still print it. */
export const formerMs = 24 * 60 * 60_000;

export interface SecretKeeper extends Secrets {
  /** Encrypts and stores. */
  set(secret: NewSecret): Promise<void>;
  /** The current secrets of the owner, of the repository (`owner/name`) with its environments and its owner's, or (null) all; by name. */
  list(scope: SecretScope | null): Promise<readonly SecretInfo[]>;
  /** False if there was none. */
  remove(scope: SecretScope, name: string): Promise<boolean>;
  /** Encrypts all that isn't under the newest key. Safe to repeat, and while servers run. */
  rotate(): Promise<Rotation>;
  /** The repository's (`owner/name`) public key for sealing, a line. */
  sealKey(repository: string): Promise<string>;
  /** Ids of keys with which secrets are encrypted, and that are missing. */
  missingKeys(): Promise<readonly string[]>;
}

export interface NewSecret {
  readonly scope: SecretScope;
  readonly name: string;
  readonly limits: SecretLimits;
  readonly value: string;
  readonly setBy: string;
}

export interface Rotation {
  /** Id of the newest key. */
  readonly key: string;
  /** How many current secrets; replaced ones are encrypted again, too. */
  readonly changed: number;
  readonly unchanged: number;
  /** What can't be opened, a sentence each. */
  readonly failures: readonly string[];
  /** Ids of the other keys at hand, under which nothing current is any more. */
  readonly unused: readonly string[];
}

/** Secrets in the store, encrypted with the installation's keys. */
export function openSecrets({
  store,
  keys,
  clock,
}: {
  readonly store: SecretStore;
  readonly keys: KeyRing;
  readonly clock: Clock;
}): SecretKeeper {
  /** A new key beside secrets of a lost one would hide that it is lost. */
  async function newest() {
    if (keys.all().length === 0) {
      const [lost] = idsOf((await store.every()).filter(isCurrent));
      if (lost !== undefined) {
        throw new PlatformError(
          `There are secrets that are encrypted with the key ${lost}, but ${keys.where} holds none. Put the key back. If it is lost, remove those secrets first ("slipway secret remove").`,
          { retry: 'never' },
        );
      }
    }
    return keys.newest();
  }

  return {
    async values(query, names) {
      const { owner } = query.repository;
      const stored = (await store.of(owner, fullName(query.repository))).filter(isCurrent);
      const choices = [...new Set(names)].map((name) => [name, chooseSecret(stored, query, name)] as const);
      const refusal = refusalWords(choices, fullName(query.repository));
      if (refusal !== '') throw new UserError(refusal);
      const values = new Map<string, string>();
      if (names.length > 0) usable(keys);
      for (const [name, choice] of choices) {
        if (choice.kind === 'given') values.set(name, open(choice.secret));
      }
      return values;
    },

    async unseal(repository, sealed) {
      const all = usable(keys);
      if (all.length === 0 && sealed.startsWith('sealed:')) await newest().catch(tellQuietly);
      return unseal(usable(keys), fullName(repository), sealed);
    },

    async former({ repository }, names) {
      const since = clock.now() - formerMs;
      const stored = await store.of(repository.owner, fullName(repository));
      return stored
        .filter(({ replacedAt, name }) => replacedAt !== null && replacedAt >= since && names.includes(name))
        .flatMap((secret) => {
          try {
            return [open(secret)];
          } catch (error) {
            // Whoever took the key away took the value out of use as well; that mustn't stop every job.
            if (error instanceof PlatformError) return [];
            throw error;
          }
        });
    },

    async set({ scope, name, limits, value, setBy }) {
      const ciphertext = encrypt(await newest(), { scope, name, limits }, Buffer.from(value));
      await store.put({ scope, name, limits, setAt: clock.now(), setBy, ciphertext });
    },

    async list(scope) {
      const stored = scope === null ? await store.every() : await ofScope(scope);
      return stored
        .filter(isCurrent)
        .map(({ scope, name, limits, setAt, setBy }) => ({ scope, name, limits, setAt, setBy }))
        .toSorted((a, b) => (scope === null ? order(scopeKey(a), scopeKey(b)) : 0));
    },

    remove: (scope, name) => store.remove(scope, name, clock.now()),

    async rotate() {
      const key = await newest();
      const failures: string[] = [];
      let [changed, unchanged] = [0, 0];
      for (const secret of await store.every()) {
        if (keyIdOf(secret.ciphertext) === key.id) {
          if (isCurrent(secret)) unchanged += 1;
          continue;
        }
        let value: Buffer;
        try {
          value = decrypt(keys, secret, secret.ciphertext);
        } catch (error) {
          if (!(error instanceof PlatformError)) throw error;
          if (isCurrent(secret)) failures.push(error.message);
          continue;
        }
        await store.rewrap(secret, encrypt(key, secret, value));
        if (isCurrent(secret)) changed += 1;
      }
      const used = new Set(idsOf(await store.every()));
      const unused = keys.all().flatMap(({ id }) => (id === key.id || used.has(id) ? [] : [id]));
      return { key: key.id, changed, unchanged, failures, unused };
    },

    sealKey: async (repository) => sealKey(await newest(), repository),

    async missingKeys() {
      const known = new Set(keys.all().map((key) => key.id));
      return idsOf((await store.every()).filter(isCurrent)).filter((id) => !known.has(id));
    },
  };

  function ofScope(scope: SecretScope): Promise<readonly SealedSecret[]> {
    const repository = scope.kind === 'owner' ? null : scope.repository;
    return store.of(scope.kind === 'owner' ? scope.owner : (scope.repository.split('/')[0] ?? ''), repository);
  }

  function open(secret: SealedSecret): string {
    return decrypt(keys, secret, secret.ciphertext).toString();
  }
}

/** The keys, for a job: what people on GitHub read doesn't name the server's files. */
function usable(keys: KeyRing): ReturnType<KeyRing['all']> {
  try {
    return keys.all();
  } catch (error) {
    return tellQuietly(error);
  }
}

function tellQuietly(error: unknown): never {
  if (!(error instanceof PlatformError)) throw error;
  throw new PlatformError("The server's key for secrets can't be used. The operator finds the reason in its log.", {
    cause: error,
    retry: 'never',
  });
}

/** An owner's secrets stand before those of its repositories. */
function scopeKey({ scope, name }: SecretInfo): string {
  const place = scope.kind === 'owner' ? [scope.owner] : scope.repository.split('/');
  return [...place, scope.kind === 'environment' ? scope.environment : '', name].join('\0');
}

function order(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

function isCurrent(secret: SealedSecret): boolean {
  return secret.replacedAt === null;
}

function idsOf(secrets: readonly SealedSecret[]): readonly string[] {
  return [...new Set(secrets.flatMap(({ ciphertext }) => keyIdOf(ciphertext) ?? []))];
}
