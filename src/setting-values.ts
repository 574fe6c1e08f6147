import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';

export interface Setting<T> {
  /** Shown in docs; what `parse` yields when the variable is missing or empty. */
  readonly default: string;
  readonly help: string;
  readonly group: 'GitHub App' | 'Server' | 'Secrets' | 'Docker and jobs' | 'Deployments' | 'Reliability' | 'Cleaning';
  readonly example?: string;
  readonly secret?: true;
  /** Text (never empty) to value, or throws Error whose message continues "NAME ". */
  readonly parse: (text: string) => T;
  /** The value when the variable is missing. */
  readonly missing: () => T;
}

/** One setting, typed by what it yields. */
export function setting<T>(s: Setting<T>): Setting<T> {
  return s;
}

/** Text of a setting to its value. Each throws an Error whose message continues the setting's name. */

export function text(value: string): string {
  return value;
}

export function natural(value: string): number {
  if (!/^\d{1,15}$/.test(value)) throw new Error(`must be a whole number, but is ${JSON.stringify(value)}`);
  return Number(value);
}

export function positive(value: string): number {
  const n = natural(value);
  if (n === 0) throw new Error('must be more than 0');
  return n;
}

export function port(value: string): number {
  const n = natural(value);
  if (n > 65_535) throw new Error(`must be a port from 0 to 65535, but is ${n}`);
  return n;
}

export function cpuCount(value: string): number | null {
  if (value === 'all') return null;
  const n = Number(value);
  if (!(n > 0)) throw new Error(`must be a number of CPUs such as 2 or 0.5, but is ${JSON.stringify(value)}`);
  return n;
}

export function bytes(value: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmg])?i?b?$/i.exec(value);
  if (!match?.[1]) throw new Error(`must be a size such as 512m or 4g, but is ${JSON.stringify(value)}`);
  const size = Number(match[1]) * 1024 ** ['', 'k', 'm', 'g'].indexOf((match[2] ?? '').toLowerCase());
  if (size < 6 * 1024 ** 2) throw new Error(`must be at least 6m (Docker's least), but is ${value}`);
  return Math.floor(size);
}

export function oneOf<T extends string>(value: string, values: readonly T[]): T {
  const found = values.find((v) => v === value.toLowerCase());
  if (found === undefined) throw new Error(`must be one of ${values.join(', ')}, but is ${JSON.stringify(value)}`);
  return found;
}

export function path(value: string): string {
  if (!/^\/[\w./-]*$/.test(value))
    throw new Error(`must be a path that starts with /, but is ${JSON.stringify(value)}`);
  return value;
}

export function host(value: string): string {
  if (!/^[\w.-]+(:\d+)?$/.test(value)) {
    throw new Error(
      `must be a host name, with a port if need be and without a protocol, but is ${JSON.stringify(value)}`,
    );
  }
  return value;
}

export function url(value: string): string {
  if (!URL.canParse(value) || !/^https?:$/.test(new URL(value).protocol)) {
    throw new Error(`must be an address that starts with https:// or http://, but is ${JSON.stringify(value)}`);
  }
  return value.replace(/\/+$/, '');
}

export function dockerHost(value: string): string {
  if (!/^(unix:\/\/\/|tcp:\/\/|https?:\/\/)./.test(value)) {
    throw new Error(`must start with unix:/// or tcp://, but is ${JSON.stringify(value)}`);
  }
  return value;
}

export function longEnough(value: string, length: number): string {
  if (value.length < length) throw new Error(`must have at least ${length} characters`);
  return value;
}

export function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'there is no such file' : message;
    throw new Error(`names the file ${file}, which can't be read: ${why}`, { cause: error });
  }
}

/** Accepts what Probot accepts: PEM, PEM with `\n` written out, and base64 of PEM. */
export function pem(value: string): string {
  const begin = '-----BEGIN';
  const plain = value.includes(begin) ? value.replaceAll('\\n', '\n') : Buffer.from(value, 'base64').toString('utf8');
  if (!plain.includes(begin) || !plain.includes('PRIVATE KEY-----')) {
    throw new Error("doesn't hold a private key in PEM form (-----BEGIN ... PRIVATE KEY-----)");
  }
  return plain.trim() + '\n';
}

/** A number of seconds, also with s, m, h or d behind it; answers milliseconds. */
export function span(value: string): number {
  const match = /^(\d{1,9}(?:\.\d+)?)\s*([smhd])?$/i.exec(value);
  if (!match?.[1])
    throw new Error(
      `must be a time such as 30s, 5m, 12h or 90d (a number alone is seconds), but is ${JSON.stringify(value)}`,
    );
  const unit = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }[(match[2] ?? 's').toLowerCase()] ?? 1_000;
  return Number(match[1]) * unit;
}

/** As `span`, at least a second: servers beat five times in it. */
export function lease(value: string): number {
  const ms = span(value);
  if (ms < 1_000) throw new Error(`must be at least 1s, but is ${JSON.stringify(value)}`);
  return ms;
}

/** As `span`, but `off` is null. */
export function spanOrOff(value: string): number | null {
  return value.toLowerCase() === 'off' ? null : span(value);
}

/** A size in bytes, or with k, m, g, t behind it; `off` is null. */
export function sizeOrOff(value: string): number | null {
  if (value.toLowerCase() === 'off') return null;
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt])?i?b?$/i.exec(value);
  if (!match?.[1]) throw new Error(`must be a size such as 512m or 20g, or off, but is ${JSON.stringify(value)}`);
  return Math.floor(Number(match[1]) * 1024 ** ['', 'k', 'm', 'g', 't'].indexOf((match[2] ?? '').toLowerCase()));
}

/** A whole number; `off` is null. */
export function countOrOff(value: string): number | null {
  return value.toLowerCase() === 'off' ? null : positive(value);
}

export function onOff(value: string): boolean {
  return oneOf(value, ['on', 'off'] as const) === 'on';
}

/** Of PostgreSQL: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS */
export function databaseUrl(value: string): string {
  if (!/^postgres(ql)?:\/\/./.test(value)) throw new Error('must start with postgres://');
  return value;
}

/** Ranges of addresses, as the firewall tells them back: `10.0.0.0/8`, and `/32` or `/128` for a single one. */
export function cidrs(value: string): readonly string[] {
  return value
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map((part) => {
      const [address = '', prefix, ...rest] = part.split('/');
      const version = isIP(address);
      const bits = prefix === undefined ? (version === 6 ? 128 : 32) : Number(/^\d{1,3}$/.test(prefix) ? prefix : NaN);
      const most = version === 6 ? 128 : 32;
      if (version === 0 || rest.length > 0 || !(bits <= most) || address.includes('%')) {
        throw new Error(
          `must be ranges of addresses such as 10.0.0.0/8, with commas between, but names ${JSON.stringify(part)}`,
        );
      }
      return `${address}/${bits}`;
    });
}

/** Names of network interfaces, with commas between. */
export function interfaces(value: string): readonly string[] {
  const names = value.split(',').map((name) => name.trim());
  const wrong = names.find((name) => !/^[A-Za-z0-9][\w.-]{0,14}$/.test(name));
  if (wrong !== undefined)
    throw new Error(`must be names of network interfaces such as docker0, but names ${JSON.stringify(wrong)}`);
  return names;
}
