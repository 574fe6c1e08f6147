import { readFile } from 'node:fs/promises';
import { compileFile, loadPipeline } from '#src/dialects/index.ts';
import { type Diagnostic, formatDiagnostic, hasErrors } from '#src/model/diagnostic.ts';
import { openFolderSource } from '#src/adapters/git/folder.ts';
import { localRepository } from './local.ts';

/**
 * Checks pipeline files, or the one that the folder would use, and prints every mistake. Resolves with the exit
 * code: 0 all fine, 1 mistakes or unreadable files.
 */
export async function validate(files: readonly string[]): Promise<number> {
  if (files.length === 0) return await validateFolder();
  let code = 0;
  for (const file of files) {
    const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      const why = error.code === 'ENOENT' ? 'there is no such file' : error.message;
      console.error(`${file}: error: It can't be read: ${why}.`);
      return null;
    });
    if (text === null) {
      code = 1;
      continue;
    }
    const compiled = compileFile(file, text);
    const diagnostics = compiled.kind === 'needs-files' ? [] : compiled.diagnostics;
    code = Math.max(code, print(file, diagnostics));
  }
  return code;
}

async function validateFolder(): Promise<number> {
  const source = await openFolderSource({ path: process.cwd() });
  const repository = localRepository(process.cwd());
  const signal = AbortSignal.timeout(60_000);
  const commit = { sha: (await source.resolve(repository, 'HEAD', signal)) ?? '0'.repeat(40), ref: 'HEAD' };
  const paths = await source.list(repository, commit, signal);
  const loaded = await loadPipeline(paths, (wanted) => source.read(repository, commit, wanted, signal));
  if (loaded.kind === 'none') {
    console.error(loaded.message);
    return 1;
  }
  if (loaded.kind === 'invalid') return print('', loaded.diagnostics);
  const { pipeline } = loaded;
  if (pipeline.dialect === 'detected') {
    const jobs = pipeline.jobs.map((job) => job.id).join(', ');
    console.log(`There is no slipway.yml; from what is here (${pipeline.file}) these jobs would run: ${jobs}.`);
    return 0;
  }
  return print(pipeline.file, loaded.diagnostics);
}

function print(file: string, diagnostics: readonly Diagnostic[]): number {
  for (const diagnostic of diagnostics) console.error(formatDiagnostic(diagnostic));
  if (hasErrors(diagnostics)) return 1;
  console.log(`${file}: no mistakes.`);
  return 0;
}
