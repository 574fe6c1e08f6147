import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { Octokit } from '@octokit/rest';
import { parse } from 'yaml';
import { z } from 'zod';
import { PlatformError, UserError } from '#src/model/outcome.ts';
import { apiUrl } from './github.ts';

/**
 * Registering the App by GitHub's manifest flow, as data: a page posts `manifest` to `action`, GitHub sends the
 * browser back with a code, and the code is exchanged for the App's credentials.
 * https://docs.github.com/en/apps/sharing-github-apps/registering-a-github-app-from-a-manifest
 */
export interface Registration {
  /** Where the form goes, by POST, with the one field `manifest`. */
  readonly action: string;
  /** JSON. */
  readonly manifest: string;
}

/** The App's credentials, for the caller to keep in a file that only the server can read (mode 0600). */
export interface AppCredentials {
  readonly appId: number;
  readonly slug: string;
  readonly privateKey: string;
  readonly webhookSecret: string;
  /** Where the owner installs the App on repositories. */
  readonly installUrl: string;
}

export interface SetupOptions {
  /** Text of app.yml. */
  readonly manifest: string;
  /** Public address of the server, without a slash at its end. */
  readonly publicUrl: string;
  readonly webhookPath: string;
  /** Path to which GitHub sends the browser back with `code` and `state`. */
  readonly redirectPath: string;
  readonly host: string | null;
  readonly protocol: 'https' | 'http';
}

const stateMaxAgeMs = 60 * 60_000;
const exchangeTimeoutMs = 20_000;

const manifestFile = z.strictObject({
  name: z.string().max(34),
  description: z.string(),
  public: z.boolean(),
  default_events: z.array(z.string()),
  default_permissions: z.record(z.string(), z.enum(['read', 'write'])),
});

/** The set-up flow of one server process. Its states are worth nothing to another process, or after an hour. */
export function createSetup(options: SetupOptions) {
  const key = randomBytes(32);

  return {
    /** What the page needs. `organization`: who shall own the App; null: the person who clicks. */
    registration(organization: string | null): Registration {
      const owner = organization === null ? '' : `/organizations/${encodeURIComponent(organization)}`;
      const site = webUrl(options.host, options.protocol);
      return {
        action: `${site}${owner}/settings/apps/new?state=${newState()}`,
        manifest: JSON.stringify(manifestOf(options)),
      };
    },
    /**
     * Exchanges the code that GitHub sent along. Throws UserError if the state isn't ours (somebody else's link) or
     * the code is used up, PlatformError if GitHub can't be reached.
     */
    async exchange(code: string, state: string): Promise<AppCredentials> {
      if (!isOurs(state)) throw new UserError('This link did not start on this page, or is too old. Start again.');
      if (!/^[\w-]{1,100}$/.test(code))
        throw new UserError('The code from GitHub is not in its usual form. Start again.');
      return exchangeCode(apiUrl(options.host, options.protocol), code);
    },
  };

  function newState(): string {
    const text = `${Date.now()}-${randomBytes(12).toString('hex')}`;
    return `${text}-${sign(text)}`;
  }

  function isOurs(state: string): boolean {
    const [at = '', nonce = '', signature = ''] = state.split('-');
    const expected = Buffer.from(sign(`${at}-${nonce}`));
    const given = Buffer.from(signature);
    const genuine = expected.length === given.length && timingSafeEqual(expected, given);
    return genuine && Date.now() - Number(at) <= stateMaxAgeMs;
  }

  function sign(text: string): string {
    return createHmac('sha256', key).update(text).digest('hex');
  }
}

/** app.yml with this server's addresses. */
function manifestOf(options: Pick<SetupOptions, 'manifest' | 'publicUrl' | 'webhookPath' | 'redirectPath'>) {
  return {
    ...manifestFile.parse(parse(options.manifest)),
    url: options.publicUrl,
    hook_attributes: { url: `${options.publicUrl}${options.webhookPath}`, active: true },
    redirect_url: `${options.publicUrl}${options.redirectPath}`,
  };
}

const conversion = z.object({
  id: z.number().int(),
  slug: z.string(),
  pem: z.string(),
  webhook_secret: z.string(),
  html_url: z.string(),
});

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

async function exchangeCode(api: string, code: string): Promise<AppCredentials> {
  const octokit = new Octokit({ baseUrl: api, userAgent: 'slipway', log: quiet });
  const request = { signal: AbortSignal.timeout(exchangeTimeoutMs) };
  const answer = await octokit.rest.apps.createFromManifest({ code, request }).catch((error: unknown) => {
    throw refusalOf(api, (error as { readonly status?: number }).status ?? null, error);
  });
  const app = conversion.safeParse(answer.data);
  if (!app.success) throw new PlatformError('GitHub registered the App but sent no credentials for it.');
  return {
    appId: app.data.id,
    slug: app.data.slug,
    privateKey: app.data.pem,
    webhookSecret: app.data.webhook_secret,
    installUrl: `${app.data.html_url}/installations/new`,
  };
}

/** Octokit gives what never reached GitHub the status 500 and no answer. */
function refusalOf(api: string, status: number | null, error: unknown): Error {
  if (status === 404 || status === 422) {
    return new UserError('GitHub no longer knows this code: it works once, for an hour. Start again.');
  }
  if (status !== null && (error as { readonly response?: unknown }).response !== undefined) {
    return new PlatformError(`GitHub answered ${status} to the registration. Try again later.`);
  }
  const message = `${api} can't be reached from this server. Check its network, GHE_HOST and proxies.`;
  return new PlatformError(message, { cause: error });
}

/** Where people see GitHub, and where git fetches from: `https://github.com`, or the Enterprise Server's address. */
export function webUrl(host: string | null, protocol: 'https' | 'http'): string {
  return host === null ? 'https://github.com' : `${protocol}://${host}`;
}
