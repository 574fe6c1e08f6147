import type { RequestHandler, Response } from 'express';
import type { Html } from './layout.ts';

/** Sends a page. `formTarget`: an origin besides our own to which a form of the page may be sent. */
export async function sendHtml(response: Response, content: Html, formTarget = ''): Promise<void> {
  const text = String(await content);
  if (formTarget) response.set('Content-Security-Policy', policy(formTarget));
  response.set('Cache-Control', 'no-store').type('html').send(text);
}

/** Addresses carry signatures, so they must not leave as a referrer; nothing may frame, sniff or index. */
export const securityHeaders: RequestHandler = (_request, response, next) => {
  response.set({
    'Content-Security-Policy': policy(''),
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
    'Referrer-Policy': 'no-referrer',
    'X-Robots-Tag': 'noindex, nofollow',
    'Cross-Origin-Opener-Policy': 'same-origin',
  });
  next();
};

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
