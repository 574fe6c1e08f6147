import type { Command } from 'commander';
import type { ServerOptions } from './server.ts';

/** The commands that ask a running server: what is where, deploy, promote, roll back, lock. */
export function addEnvironmentCommands(program: Command): void {
  const command = (name: string, description: string) =>
    program
      .command(name)
      .description(`${description} (asks a server: docs/command-line.md)`)
      .option('--server <url>', "the server's address (default: SLIPWAY_URL)")
      .option('--repository <owner/repo>', "the repository (default: that of the folder's git remote)");

  command('apps', 'list the environments: which version is where, since when, and how it does').action(
    async (options: ServerOptions) => {
      const { apps } = await import('./apps.ts');
      await apps(options);
    },
  );

  command('deploy', 'deploy a branch, tag or commit to an environment')
    .argument('<environment>')
    .argument('[ref]', 'a branch, tag or commit (default: the default branch)')
    .action(async (environment: string, ref: string | undefined, options: ServerOptions) => {
      const { askServer } = await import('./ask.ts');
      await askServer('deploy', { environment, ref: ref ?? null }, options);
    });

  command('promote', 'deploy to one environment the images that are healthy in another')
    .argument('<from>')
    .argument('<to>')
    .action(async (from: string, to: string, options: ServerOptions) => {
      const { askServer } = await import('./ask.ts');
      await askServer('promote', { from, to }, options);
    });

  command('rollback', 'restore the images that were healthy in an environment before')
    .argument('<environment>')
    .argument('[to]', 'how many healthy deployments back, a commit or a tag (default: the last healthy one)')
    .option('--over-lock', 'even if somebody has locked the environment; audited')
    .action(
      async (
        environment: string,
        to: string | undefined,
        { overLock = false, ...options }: ServerOptions & { readonly overLock?: boolean },
      ) => {
        const { askServer } = await import('./ask.ts');
        await askServer('rollback', { environment, to: to ?? null, overLock }, options);
      },
    );

  command('lock', 'let nobody deploy to an environment, until it is unlocked')
    .argument('[environment]', 'absent, with --all: the whole repository')
    .argument('[reason...]', 'why, for those who want to deploy')
    .option('--all', 'the whole repository')
    .action(
      async (
        environment: string | undefined,
        reason: readonly string[],
        { all = false, ...options }: ServerOptions & { readonly all?: boolean },
      ) => {
        const { askServer } = await import('./ask.ts');
        const { lockOf } = await import('./lock.ts');
        await askServer('lock', lockOf(environment, reason, all), options);
      },
    );

  command('unlock', 'release the lock of an environment, whoever has it')
    .argument('[environment]', 'absent, with --all: the whole repository')
    .option('--all', 'the whole repository')
    .action(
      async (
        environment: string | undefined,
        { all = false, ...options }: ServerOptions & { readonly all?: boolean },
      ) => {
        const { askServer } = await import('./ask.ts');
        const { lockOf } = await import('./lock.ts');
        await askServer('unlock', { environment: lockOf(environment, [], all).environment }, options);
      },
    );
}
