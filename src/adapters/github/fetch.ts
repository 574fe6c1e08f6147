import { sign } from 'node:crypto';

type Headers = Record<string, string>;
interface Init extends Omit<RequestInit, 'headers'> {
  readonly headers?: Headers;
}

/** Smaller differences are within what GitHub allows. */
const allowedMs = 15_000;

/**
 * The fetch of all requests to GitHub, those that Octokit makes for tokens too. Every request ends in time. If GitHub
 * refuses the App's JWT and its clock differs from ours, it is asked again by its own time, and from then on at once.
 * `privateKey` is PEM.
 */
export function createFetch(options: { readonly privateKey: string; readonly timeoutMs: number }) {
  /** How far GitHub's clock is ahead of ours. */
  let aheadMs = 0;

  return async (url: string, init: Init = {}): Promise<Response> => {
    const response = await send(url, init);
    if (response.status !== 401 || claimsOf(init.headers) === null) return response;
    const found = Date.parse(response.headers.get('date') ?? '') - Date.now();
    if (!(Math.abs(found - aheadMs) > allowedMs)) return response;
    aheadMs = found;
    await response.body?.cancel();
    return send(url, init);
  };

  function send(url: string, init: Init): Promise<Response> {
    const deadline = AbortSignal.timeout(options.timeoutMs);
    const signal = init.signal ? AbortSignal.any([init.signal, deadline]) : deadline;
    return fetch(url, { ...init, headers: byItsTime(init.headers ?? {}), signal });
  }

  function byItsTime(headers: Headers): Headers {
    const claims = aheadMs === 0 ? null : claimsOf(headers);
    if (claims === null) return headers;
    const ahead = Math.round(aheadMs / 1000);
    const text = [
      { alg: 'RS256', typ: 'JWT' },
      { ...claims, iat: claims.iat + ahead, exp: claims.exp + ahead },
    ]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.');
    const signature = sign('RSA-SHA256', Buffer.from(text), options.privateKey).toString('base64url');
    return { ...headers, authorization: `bearer ${text}.${signature}` };
  }
}

interface Claims {
  readonly iat: number;
  readonly exp: number;
}

/** What the App says of itself in a JWT, or null if the request carries none. */
function claimsOf(headers: Headers = {}): Claims | null {
  const [, payload] = /^bearer [\w-]+\.([\w-]+)\.[\w-]+$/i.exec(headers['authorization'] ?? '') ?? [];
  if (payload === undefined) return null;
  try {
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Partial<Claims>;
    return typeof claims.iat === 'number' && typeof claims.exp === 'number' ? (claims as Claims) : null;
  } catch {
    return null;
  }
}
