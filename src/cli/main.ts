import { readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import { PlatformError, UserError } from '#src/model/outcome.ts';
import { SettingsError } from '#src/settings.ts';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};
const program = new Command('slipway')
  .version(version)
  .description('Builds pull requests in Docker and launches tags to Kubernetes.')
  .showHelpAfterError('(slipway --help lists the commands)');

program
  .command('serve')
  .description('start the server (settings: docs/settings.md)')
  .action(async () => {
    const { serve } = await import('./serve.ts');
    await serve();
  });

program
  .command('run')
  .description('run the pipeline of the folder you stand in, in Docker, without GitHub')
  .option('-j, --job <name...>', 'only these jobs, and the jobs they need')
  .addOption(
    new Option('-e, --event <kind>', 'what to pretend happened')
      .choices(['push', 'pull_request', 'tag'])
      .default('push'),
  )
  .option('--ref <name>', 'the branch or tag to pretend (default: the one you are on; a tag: v0.0.0)')
  .option('-C, --directory <path>', 'the folder to run', '.')
  .action(
    async (options: { job?: string[]; event: 'push' | 'pull_request' | 'tag'; ref?: string; directory: string }) => {
      const { run } = await import('./run.ts');
      process.exitCode = await run({
        directory: options.directory,
        jobs: options.job ?? [],
        event: options.event,
        ref: options.ref ?? null,
      });
    },
  );

program
  .command('validate')
  .description('check pipeline files; prints every mistake as file:line:column')
  .argument('[file...]', 'the files (default: the one that the folder you stand in would use)')
  .action(async (files: string[]) => {
    const { validate } = await import('./validate.ts');
    process.exitCode = await validate(files);
  });

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof SettingsError) && !(error instanceof UserError) && !(error instanceof PlatformError))
    throw error;
  console.error(`slipway: ${error.message}`);
  process.exitCode = error instanceof PlatformError ? 2 : 1;
}
