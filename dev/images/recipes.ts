import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Root } from './root.ts';

export type ImageName = 'slipway-dev/busybox' | 'slipway-dev/node' | 'slipway-dev/git';

interface Recipe {
  /** Differs when what goes into the image differs. */
  version(): string;
  /** Dockerfile instructions for the image's configuration. */
  readonly changes: readonly string[];
  /** Puts files into the root; `temporary` is a folder that is removed afterwards. */
  collect(root: Root, temporary: string): void;
}

const npmVersion = '11.19.1';
const node = fileURLToPath(new URL(`../../node_modules/node-linux-${process.arch}/bin/node`, import.meta.url));

export const recipes: Readonly<Record<ImageName, Recipe>> = {
  'slipway-dev/busybox': { version: () => '1', changes: ['CMD ["sh"]'], collect: addBusybox },

  'slipway-dev/node': {
    version: () => `${run(node, ['--version'])} npm ${npmVersion}`,
    changes: ['CMD ["node"]'],
    collect(root, temporary) {
      addBusybox(root, temporary);
      root.program(node, '/usr/local/bin/node');
      addNpm(root, temporary);
    },
  },

  'slipway-dev/git': {
    version: () => run('git', ['--version']),
    changes: ['CMD ["bash"]'],
    collect(root, temporary) {
      addBusybox(root, temporary);
      root.program(realpathSync('/bin/bash'), '/bin/bash');
      addGit(root);
    },
  },
};

/** The image's files. Deleted with `temporary` once they are packed. */
export function fillRoot(name: ImageName): { readonly root: Root; readonly dispose: () => void } {
  const temporary = mkdtempSync(join(tmpdir(), 'slipway-image-'));
  const dispose = () => rmSync(temporary, { recursive: true, force: true });
  const root = new Root();
  try {
    recipes[name].collect(root, temporary);
  } catch (error) {
    dispose();
    throw error;
  }
  return { root, dispose };
}

function addBusybox(root: Root, temporary: string): void {
  const busybox = findBusybox(temporary);
  for (const folder of ['/bin', '/dev', '/etc', '/home', '/proc', '/sys', '/usr/bin', '/usr/local/bin', '/var'])
    root.folder(folder);
  root.folder('/root', 0o700);
  root.folder('/tmp', 0o1777);
  root.copy(busybox, '/bin/busybox', 0o755);
  for (const applet of run(busybox, ['--list']).split('\n'))
    if (applet !== 'busybox') root.link(`/bin/${applet}`, 'busybox');
  root.link('/usr/bin/env', '/bin/busybox');
  root.text('/etc/passwd', 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n');
  root.text('/etc/group', 'root:x:0:\nnogroup:x:65534:\n');
}

/** Debian's busybox-static: the installed one, else out of its package. */
function findBusybox(temporary: string): string {
  const installed = ['/bin/busybox', '/usr/bin/busybox'].find((path) => existsSync(path) && isStatic(path));
  if (installed) return installed;
  run('apt-get', ['download', '-qq', '-o', 'APT::Sandbox::User=root', 'busybox-static'], temporary);
  const archive = readdirSync(temporary).find((file) => file.startsWith('busybox-static_'));
  if (!archive) throw new Error('apt-get download busybox-static gave no file. Run script/bootstrap first.');
  run('dpkg-deb', ['-x', archive, 'busybox'], temporary);
  return ['bin/busybox', 'usr/bin/busybox'].map((path) => join(temporary, 'busybox', path)).find(existsSync) ?? '';
}

function isStatic(program: string): boolean {
  try {
    return run('ldd', [program]).includes('not a dynamic executable');
  } catch {
    // ldd exits with 1 for a static program
    return true;
  }
}

function addNpm(root: Root, temporary: string): void {
  run('npm', ['pack', '--silent', '--prefer-offline', `npm@${npmVersion}`], temporary);
  run('tar', ['-xzf', `npm-${npmVersion}.tgz`], temporary);
  root.copyTree(join(temporary, 'package'), '/usr/local/lib/node_modules/npm');
  for (const tool of ['npm', 'npx'])
    root.text(
      `/usr/local/bin/${tool}`,
      `#!/bin/sh\nexec node /usr/local/lib/node_modules/npm/bin/${tool}-cli.js "$@"\n`,
      0o755,
    );
}

function addGit(root: Root): void {
  const core = run('git', ['--exec-path']);
  root.program('/usr/bin/git', '/usr/bin/git');
  root.copyTree(core, core);
  for (const helper of ['git-remote-http', 'git-http-backend']) root.libraries(join(core, helper));
  root.copyTree('/usr/share/git-core/templates', '/usr/share/git-core/templates');
}

function run(program: string, args: readonly string[], cwd?: string): string {
  return execFileSync(program, args, {
    ...(cwd ? { cwd } : {}),
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 120_000,
  }).trim();
}
