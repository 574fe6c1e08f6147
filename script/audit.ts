import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

/**
 * Asks the registry for known vulnerabilities of what the product is made of, and looks at the lock file, for which no
 * network is needed. Fails for either; says so where the registry can't be asked.
 */
const deadlineMs = 8_000;
/** They are there to run scripts when installed; .npmrc forbids it, and the product works without. */
const withScripts = new Set(['@parcel/watcher', 'cpu-features', 'protobufjs', 'ssh2', 'unrs-resolver']);
const licences = new Set(
  'MIT ISC Apache-2.0 BSD-2-Clause BSD-3-Clause 0BSD Unlicense CC0-1.0 BlueOak-1.0.0 PSF-2.0 Python-2.0'.split(' '),
);

interface Locked {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly link?: boolean;
  readonly dev?: boolean;
  readonly license?: string;
  readonly hasInstallScript?: boolean;
}

const root = new URL('../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');
const lock = JSON.parse(read('package-lock.json')) as { readonly packages: Readonly<Record<string, Locked>> };
const locked = Object.entries(lock.packages).filter(([path]) => path !== '');

const faults = [...lockFaults(), ...(await known())];
for (const fault of faults) console.error(fault);
if (faults.length > 0) process.exitCode = 1;

/** What is wrong in the lock file: a package that could be another tomorrow, come from elsewhere or run a script. */
function lockFaults(): string[] {
  const found: string[] = [];
  const hosts = new Set<string>();
  for (const [path, one] of locked) {
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    if (one.link || !/^sha512-[\w+/]{86}==$/.test(one.integrity ?? '')) found.push(`${path}: no sha512 of its content`);
    if (one.resolved !== undefined) hosts.add(URL.parse(one.resolved)?.origin ?? one.resolved);
    if (one.hasInstallScript && !withScripts.has(name)) found.push(`${path}: runs a script when it is installed`);
    if (!one.dev) found.push(...licenceFaults(path, one));
  }
  const [first, ...others] = hosts;
  if (others.length > 0 || (first !== undefined && !first.startsWith('https://'))) {
    found.push(`package-lock.json: packages come from ${[...hosts].join(', ')}: one https registry is wanted`);
  }
  if (!/^ignore-scripts=true$/m.test(read('.npmrc'))) found.push('.npmrc: ignore-scripts=true is missing');
  return found;
}

function licenceFaults(path: string, { license }: Locked): string[] {
  const said = license ?? licenceIn(path);
  if (said === null) return [];
  const words = said.split(/[()\s]+|\b(?:OR|AND)\b/).filter((word) => word !== '' && word !== 'OR' && word !== 'AND');
  return words.every((word) => licences.has(word)) ? [] : [`${path}: its licence is ${said}`];
}

/** Null if it isn't installed here (another platform's). */
function licenceIn(path: string): string | null {
  if (!existsSync(new URL(`${path}/package.json`, root))) return null;
  const { license, licenses } = JSON.parse(read(`${path}/package.json`)) as {
    license?: string | { type: string };
    licenses?: readonly { type: string }[];
  };
  if (typeof license === 'string') return license;
  const said = license?.type ?? licenses?.map(({ type }) => type).join(' OR ');
  if (said !== undefined) return said;
  const text = existsSync(new URL(`${path}/LICENSE`, root)) ? read(`${path}/LICENSE`) : '';
  return text.includes('Permission is hereby granted, free of charge') ? 'MIT' : 'not said';
}

/** Known vulnerabilities of what the product runs with, from `high` on. */
async function known(): Promise<string[]> {
  const args = ['audit', '--omit=dev', '--json', '--fetch-retries=0', `--fetch-timeout=${deadlineMs}`];
  const text = await new Promise<string>((resolve) => {
    execFile('npm', args, { cwd: root, timeout: 2 * deadlineMs }, (_error, stdout) => resolve(stdout));
  });
  const report = parse(text);
  if (report?.vulnerabilities === undefined) {
    console.log(
      `note: the registry can't be asked for known vulnerabilities here (${report?.message ?? 'no answer'}).`,
    );
    console.log(`note: the lock file alone was looked at: ${locked.length} packages, hashes, scripts, licences.`);
    return [];
  }
  return Object.values(report.vulnerabilities).flatMap(({ name, severity, range }) =>
    severity === 'high' || severity === 'critical' ? [`${name} ${range}: known vulnerability (${severity})`] : [],
  );
}

interface Report {
  readonly message?: string;
  readonly vulnerabilities?: Readonly<Record<string, { name: string; severity: string; range: string }>>;
}

function parse(text: string): Report | null {
  try {
    const { message, vulnerabilities } = JSON.parse(text) as Report;
    // The address of somebody's registry is nobody's business.
    const short = message?.replaceAll(/https?:\/\/\S+/g, '').trim();
    return { ...(short ? { message: short } : {}), ...(vulnerabilities ? { vulnerabilities } : {}) };
  } catch {
    return null;
  }
}
