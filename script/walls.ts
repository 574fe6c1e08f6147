import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Sees that the lint's walls really look: plants a violation of each and fails if the lint doesn't find it, or if it
 * complains where nothing is wrong. (A rule whose pattern matches nothing is green for ever.)
 */
const forbidden: readonly [where: string, code: string][] = [
  ['model', `import '#src/engine/ports.ts';`],
  ['model', `import 'node:fs';`],
  ['dialects', `import '#src/engine/ports.ts';`],
  ['dialects', `import '#src/adapters/git/index.ts';`],
  ['dialects', `import 'node:fs';`],
  ['planner', `import '#src/engine/ports.ts';`],
  ['planner', `import 'node:fs';`],
  ['engine', `import '#src/adapters/docker/index.ts';`],
  ['engine', `import '#src/web/index.ts';`],
  ['engine', `import '../adapters/docker/index.ts';`],
  ['adapters/git', `import '#src/adapters/docker/index.ts';`],
  ['adapters/git', `import '../docker/index.ts';`],
  ['adapters/git', `import '#src/web/index.ts';`],
  ['adapters/git', `import '#src/settings.ts';`],
  ['web', `import '#src/adapters/store/index.ts';`],
  ['web', `import '#src/cli/serve.ts';`],
  ['cli', `import '#dev/registry.ts';`],
  ['engine', `import '#dev/registry.ts';`],
  ['adapters/git', `import '#test/nock.ts';`],
  ['engine', `export const home = process.env['HOME'];`],
  ['adapters/git', `export const home = process.env['HOME'];`],
];
const allowed: readonly [where: string, code: string][] = [
  ['model', `import './diagnostic.ts';`],
  ['dialects/native', `import '#src/model/pipeline.ts';`],
  ['planner', `import '#src/model/plan.ts';`],
  ['engine', `import '#src/model/run.ts';`],
  ['adapters/git', `import '#src/engine/ports.ts';\nimport 'node:fs';`],
  ['web', `import '#src/engine/ports.ts';`],
  ['cli', `import '#src/adapters/docker/index.ts';`],
];
const rules = ['no-restricted-imports', 'no-restricted-properties'];

const folder = await mkdtemp(join(tmpdir(), 'slipway-walls-'));
try {
  await copyFile(here('../.oxlintrc.json'), join(folder, '.oxlintrc.json'));
  const bad = await plant('violation', forbidden);
  const good = await plant('honest', allowed);
  const found = await lint();
  const unseen = [...bad].filter(([file]) => !found.has(file)).map(([, what]) => `not found: ${what}`);
  const wrong = [...good].filter(([file]) => found.has(file)).map(([, what]) => `found, but allowed: ${what}`);
  for (const line of [...unseen, ...wrong]) console.error(line);
  if (unseen.length + wrong.length > 0) process.exitCode = 1;
  else console.log(`${bad.size} planted violations found, ${good.size} honest files let through`);
} finally {
  await rm(folder, { recursive: true, force: true });
}

/** Writes a file for each; answers what it is by the file's path. */
async function plant(name: string, cases: typeof forbidden): Promise<ReadonlyMap<string, string>> {
  const planted = new Map<string, string>();
  for (const [index, [where, code]] of cases.entries()) {
    const file = join('src', where, `${name}-${index}.ts`);
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await writeFile(join(folder, file), `${code}\n`);
    planted.set(file, `src/${where}: ${code}`);
  }
  return planted;
}

/** Files about which a wall's rule complained. */
function lint(): Promise<ReadonlySet<string>> {
  return new Promise((resolve, reject) => {
    const program = here('../node_modules/.bin/oxlint');
    const options = { cwd: folder, timeout: 30_000, maxBuffer: 16_000_000 };
    execFile(program, ['--format', 'json', '.'], options, (error, stdout, stderr) => {
      let report: { readonly diagnostics: readonly { readonly code?: string; readonly filename: string }[] };
      try {
        report = JSON.parse(stdout);
      } catch {
        reject(new Error(`The lint gave no report: ${stderr || stdout || error?.message}`));
        return;
      }
      const ours = report.diagnostics.filter(({ code }) => rules.some((rule) => code?.includes(rule)));
      resolve(new Set(ours.map(({ filename }) => filename)));
    });
  });
}

function here(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url));
}
