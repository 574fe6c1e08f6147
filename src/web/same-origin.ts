import type { Request, RequestHandler } from 'express';

/**
 * Lets only our own pages change anything: a browser says where a form comes from, by Sec-Fetch-Site or, over plain http
 * and in old ones, by Origin. Who says neither is no browser, and has no cookie that another site could use.
 * `refuse` answers.
 */
export function sameOriginOnly(baseUrl: string, refuse: RequestHandler): RequestHandler {
  const own = URL.parse(baseUrl)?.origin ?? null;
  return (request, response, next) => {
    if (request.method === 'GET' || request.method === 'HEAD' || isOurs(request, own)) return next();
    return refuse(request, response, next);
  };
}

function isOurs(request: Request, own: string | null): boolean {
  const site = request.get('sec-fetch-site');
  if (site !== undefined) return site === 'same-origin' || site === 'none';
  const origin = request.get('origin');
  if (origin === undefined) return true;
  // A proxy may pass on another Host than people see.
  return origin === own || URL.parse(origin)?.host === request.get('host');
}
