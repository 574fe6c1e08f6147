import { commands, type Detector, type Look, versionIn } from './finding.ts';

/** What runs where nothing says otherwise: the newest long-term release. */
const DEFAULT_VERSION = '24';

/** Node: install by the lock file, then the scripts lint, test and build, if they exist. */
export const node: Detector = {
  reads: ['package.json', '.nvmrc', '.node-version'],
  find(look) {
    if (!look.has('package.json')) return [];
    const manifest = parse(look.text('package.json'));
    const { install, run } = managerOf(look, manifest.packageManager);
    const scripts = ['lint', 'test', 'build'].filter((name) => {
      const script = manifest.scripts[name];
      // What npm init writes when there are no tests.
      return script !== undefined && !script.includes('no test specified');
    });
    return [
      commands('node', 'package.json', `node:${versionOf(look, manifest.engine)}`, [
        ...install,
        ...scripts.map((name) => `${run} ${name}`),
      ]),
    ];
  },
};

interface Manifest {
  readonly scripts: Readonly<Record<string, string | undefined>>;
  readonly engine: string;
  readonly packageManager: string;
}

/** What isn't as it should be counts as absent: npm itself will tell. */
function parse(text: string): Manifest {
  let value: unknown = null;
  try {
    value = JSON.parse(text);
  } catch {
    // The install step shows the mistake with its place.
  }
  const scripts = property(value, 'scripts');
  const names = typeof scripts === 'object' && scripts !== null ? Object.entries(scripts) : [];
  return {
    scripts: Object.fromEntries(names.filter((entry): entry is [string, string] => typeof entry[1] === 'string')),
    engine: asText(property(property(value, 'engines'), 'node')),
    packageManager: asText(property(value, 'packageManager')),
  };
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function property(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined;
}

function managerOf(look: Look, packageManager: string): { readonly install: readonly string[]; readonly run: string } {
  if (look.has('pnpm-lock.yaml') || packageManager.startsWith('pnpm@')) {
    // Corepack takes the version that package.json names.
    return {
      install: [
        'npm install --global corepack',
        'corepack enable pnpm',
        frozen('pnpm install', look.has('pnpm-lock.yaml')),
      ],
      run: 'pnpm run',
    };
  }
  if (look.has('yarn.lock') || packageManager.startsWith('yarn@')) {
    const modern = look.has('.yarnrc.yml') || /^yarn@[2-9]/.test(packageManager);
    const install = modern ? 'yarn install --immutable' : frozen('yarn install', look.has('yarn.lock'));
    return {
      install: modern ? ['npm install --global corepack', 'corepack enable yarn', install] : [install],
      run: 'yarn run',
    };
  }
  const locked = look.has('package-lock.json') || look.has('npm-shrinkwrap.json');
  return { install: [locked ? 'npm ci' : 'npm install'], run: 'npm run' };
}

function frozen(install: string, locked: boolean): string {
  return locked ? `${install} --frozen-lockfile` : install;
}

function versionOf(look: Look, engine: string): string {
  const pinned = look.text('.nvmrc').trim() || look.text('.node-version').trim();
  const major =
    versionIn(pinned, 1) ??
    (engine.includes('<') || /^[\^~v=\d]/.test(engine) ? versionIn(engine.replace(/^.*>=/, ''), 1) : null);
  return major ?? DEFAULT_VERSION;
}
