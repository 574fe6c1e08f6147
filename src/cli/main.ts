import { readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import { PlatformError, UserError } from '#src/model/outcome.ts';
import { SettingsError } from '#src/settings.ts';
import { addEnvironmentCommands } from './environment-commands.ts';

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
  .option('-s, --secret <name>', 'a variable of your shell that jobs may have as the secret of this name', collect, [])
  .option('--allow-host', 'jobs may have what they ask for of this machine (privileged, its network, devices, folders)')
  .action(
    async (options: {
      job?: string[];
      event: 'push' | 'pull_request' | 'tag';
      ref?: string;
      directory: string;
      secret: string[];
      allowHost?: true;
    }) => {
      const { run } = await import('./run.ts');
      process.exitCode = await run({
        directory: options.directory,
        jobs: options.job ?? [],
        event: options.event,
        ref: options.ref ?? null,
        secrets: options.secret,
        allowHost: options.allowHost === true,
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

const secret = program
  .command('secret')
  .description("set, list and remove secrets, where the server's data is (docs/secrets.md)");

secret
  .command('set')
  .description(
    'set or replace a secret of an owner or a repository. The value is read from standard input; one line break at its end is cut',
  )
  .argument('<owner[/repo]>', 'whose jobs may have it')
  .argument('<name>', 'its name: letters, digits and _')
  .option('--environment <name>', 'only what deploys to this environment gets it')
  .option('--branch <pattern>', 'only on branches like this; may be repeated', collect, [])
  .option('--event <kind>', 'only for push, tag, pull_request, merge_group or deploy; may be repeated', collect, [])
  .addHelpText('after', '\nExample: slipway secret set acme/shop NPM_TOKEN --branch main < token.txt')
  .action(async (place: string, name: string, options: { environment?: string; branch: string[]; event: string[] }) => {
    const { setSecret } = await import('./secret.ts');
    const { environment = null, branch, event } = options;
    await setSecret(place, name, { environment, branches: branch, events: event });
  });

secret
  .command('list')
  .description('list names, limits and who set them when; never values')
  .argument('[owner[/repo]]', 'an owner, or a repository (default: all that there are)')
  .action(async (place?: string) => {
    const { listSecrets } = await import('./secret.ts');
    await listSecrets(place ?? null);
  });

secret
  .command('remove')
  .description('remove a secret')
  .argument('<owner[/repo]>', 'whose it is')
  .argument('<name>', 'its name')
  .option('--environment <name>', 'the environment to which it belongs')
  .action(async (place: string, name: string, options: { environment?: string }) => {
    const { removeSecret } = await import('./secret.ts');
    await removeSecret(place, name, options.environment ?? null);
  });

secret
  .command('rotate')
  .description('encrypt all secrets again with the first key; safe to repeat, and while servers run')
  .action(async () => {
    const { rotateSecrets } = await import('./secret.ts');
    process.exitCode = await rotateSecrets();
  });

program
  .command('seal')
  .description(
    'print a value sealed for a repository, to be written in its pipeline file. The value is read from standard input; one line break at its end is cut',
  )
  .argument('<owner/repo>', 'the repository; no other can open it')
  .option('--server <url>', "the server's address (default: the server whose data is here)")
  .action(async (repository: string, options: { server?: string }) => {
    const { seal } = await import('./seal.ts');
    await seal(repository, options.server ?? null);
  });

program
  .command('audit')
  .description("print who did what, and what was decided why, where the server's data is; oldest first")
  .option('--since <time>', 'from then on: 7d, 12h, or a date such as 2026-11-01 (UTC)')
  .option('--repository <owner/repo>', 'only of this repository')
  .option('--json', 'a JSON object a line')
  .action(async (options: { since?: string; repository?: string; json?: true }) => {
    const { audit } = await import('./audit.ts');
    const { since = null, repository = null } = options;
    await audit({ since, repository, json: options.json ?? false });
  });

addEnvironmentCommands(program);

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof SettingsError) && !(error instanceof UserError) && !(error instanceof PlatformError))
    throw error;
  console.error(`slipway: ${error.message}`);
  process.exitCode = error instanceof PlatformError ? 2 : 1;
}
