import type { Request, Response } from 'express';
import type { Clock } from '#src/engine/ports.ts';
import { sameText, type Signer } from './signer.ts';

/** Lets the operator in who knows the token of the settings. */
export interface Operator {
  /** True if there is a token at all. */
  readonly configured: boolean;
  /** By the cookie, or by `Authorization: Bearer`. */
  isSignedIn(request: Request): boolean;
  /** By `Authorization: Bearer` alone: no browser sends that by itself. */
  hasToken(request: Request): boolean;
  /** Sets the cookie if the token is right. */
  signIn(token: unknown, response: Response): boolean;
  signOut(response: Response): void;
}

const cookie = 'slipway_operator';
const lifetime = 30 * 24 * 3600 * 1000;

/** The cookie doesn't hold the token but a signature with an end; another token makes it invalid. */
export function createOperator(token: string | null, signer: Signer, clock: Clock, secure: boolean): Operator {
  const options = { httpOnly: true, sameSite: 'strict', secure, path: '/' } as const;
  const subject = (until: string) => `operator:${until}:${token ?? ''}`;

  const hasToken = (request: Request) => token !== null && sameText(token, bearerOf(request) ?? '');

  return {
    configured: token !== null,
    hasToken,

    isSignedIn(request) {
      if (token === null) return false;
      if (bearerOf(request) !== null) return hasToken(request);
      const [until = '', signature] = cookieOf(request).split('.');
      return signer.verify(subject(until), signature) && Number(until) > clock.now();
    },

    signIn(given, response) {
      if (token === null || typeof given !== 'string' || !sameText(token, given)) return false;
      const until = `${clock.now() + lifetime}`;
      response.cookie(cookie, `${until}.${signer.sign(subject(until))}`, { ...options, maxAge: lifetime });
      return true;
    },

    signOut(response) {
      response.clearCookie(cookie, options);
    },
  };
}

function bearerOf(request: Request): string | null {
  return /^Bearer (.+)$/i.exec(request.get('authorization') ?? '')?.[1] ?? null;
}

function cookieOf(request: Request): string {
  for (const pair of (request.get('cookie') ?? '').split(/; */)) {
    if (pair.startsWith(`${cookie}=`)) return pair.slice(cookie.length + 1);
  }
  return '';
}
