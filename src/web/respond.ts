import type { RequestHandler, Response } from 'express';
import type { Html } from './layout.ts';

/** Sends a page. `formTarget`: an origin besides our own to which a form of the page may be sent. */
export async function sendHtml(response: Response, content: Html, formTarget = ''): Promise<void> {
  const text = String(await content);
  if (formTarget) response.set('Content-Security-Policy', policy(formTarget));
  response.set('Cache-Control', 'no-store').type('html').send(text);
}

/**
 * Addresses carry signatures, so they must not leave as a referrer (no referrer at all would hide from us, too, which
 * page a form comes from); nothing may frame, sniff, embed or index. `https`: browsers shall never again come without.
 */
export function securityHeaders(https: boolean): RequestHandler {
  const headers = {
    'Content-Security-Policy': policy(''),
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
    'Referrer-Policy': 'same-origin',
    'X-Robots-Tag': 'noindex, nofollow',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Permissions-Policy': 'camera=(), geolocation=(), microphone=()',
    ...(https ? { 'Strict-Transport-Security': 'max-age=31536000' } : {}),
  };
  return (_request, response, next) => {
    response.set(headers);
    next();
  };
}

function policy(formTarget: string): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    `form-action 'self' ${formTarget}`.trimEnd(),
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}
