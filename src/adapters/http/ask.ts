import { lookup as systemResolve } from 'node:dns';
import { request as requestHttp, type RequestOptions } from 'node:http';
import { request as requestHttps } from 'node:https';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { PlatformError, UserError } from '#src/model/outcome.ts';

/** So much of an answer is read. */
const mostBytes = 65_536;

export interface Asking {
  /** Milliseconds for the whole of it. */
  readonly deadlineMs: number;
  /** For messages; default: the address without its path and query. */
  readonly name?: string;
  readonly method?: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly sent?: string;
  /** Default: the system's resolver. */
  readonly resolve?: Resolve;
}

/** As node:dns has it. */
export type Resolve = (
  hostname: string,
  options: { readonly all: true },
  callback: (error: Error | null, addresses: { address: string; family: number }[]) => void,
) => void;

/**
 * One request, by a connection of its own that goes to the address itself, whatever proxy the environment names. Where it
 * resolves to is checked with the very addresses that are connected to. Throws UserError for an address that may never be
 * asked, PlatformError if nobody answers in time, and the signal's reason.
 */
export async function ask(
  url: URL,
  { deadlineMs, name = url.origin, method = 'GET', headers = {}, sent = '', resolve = systemResolve }: Asking,
  outer: AbortSignal,
): Promise<{ readonly status: number; readonly body: string; readonly cut: boolean }> {
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new UserError(`${url.protocol}// can't be asked.`);
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  if (isIP(host) !== 0 && isForbidden(host)) throw new UserError(forbidden(name));
  const signal = AbortSignal.any([outer, AbortSignal.timeout(deadlineMs)]);
  try {
    return await send(
      url,
      { method, headers: { 'user-agent': 'Slipway', ...headers }, signal, lookup: guarded(resolve), agent: false },
      sent,
    );
  } catch (error) {
    outer.throwIfAborted();
    if (error instanceof Forbidden) throw new UserError(forbidden(name));
    if (signal.aborted) throw new PlatformError(`${name} gave no answer within ${deadlineMs / 1000} s.`);
    throw new PlatformError(`${name} can't be reached (${codeOf(error)}).`, { cause: error });
  }
}

function send(
  url: URL,
  options: RequestOptions,
  sent: string,
): Promise<{ readonly status: number; readonly body: string; readonly cut: boolean }> {
  const { promise, resolve: done, reject } = Promise.withResolvers<{ status: number; body: string; cut: boolean }>();
  const request = (url.protocol === 'https:' ? requestHttps : requestHttp)(url, options, (response) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const end = (cut: boolean): void => {
      done({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).subarray(0, mostBytes).toString(), cut });
    };
    response.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size <= mostBytes) return;
      end(true);
      response.destroy();
    });
    response.on('end', () => end(false));
    response.on('error', reject);
    response.on('aborted', () => reject(new Error('the answer broke off')));
  });
  request.on('error', reject);
  request.end(sent);
  return promise;
}

/** Where clouds tell their machines secrets, and what is only on the machine's own wire. IPv4 in IPv6's clothes is found too. */
const blocked = new BlockList();
blocked.addSubnet('169.254.0.0', 16, 'ipv4');
blocked.addAddress('168.63.129.16', 'ipv4');
blocked.addAddress('100.100.100.200', 'ipv4');
blocked.addSubnet('fe80::', 10, 'ipv6');
blocked.addAddress('fd00:ec2::254', 'ipv6');
blocked.addAddress('fd20:ce::254', 'ipv6');
blocked.addSubnet('64:ff9b::a9fe:0', 112, 'ipv6');

/** Whether an address (IPv4 or IPv6, as text) may never be asked, whatever the operator allows. */
export function isForbidden(address: string): boolean {
  const [bare = ''] = address.split('%');
  return blocked.check(bare, isIP(bare) === 6 ? 'ipv6' : 'ipv4');
}

class Forbidden extends Error {}

/** As the usual one, but it fails if any of the addresses may not be asked. */
function guarded(resolve: Resolve): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      const [first] = addresses ?? [];
      if (error) callback(error, '', 0);
      else if (addresses.some(({ address }) => isForbidden(address))) callback(new Forbidden('forbidden'), '', 0);
      else if (options.all === true) callback(null, addresses);
      else callback(null, first?.address ?? '', first?.family ?? 0);
    });
  };
}

function forbidden(name: string): string {
  return `${name} leads to an address of the machine's own network (link-local), where clouds keep credentials: that is never asked.`;
}

function codeOf(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : null;
  if (typeof code === 'string') return code;
  return error instanceof Error ? error.message : String(error);
}
