import type { CommandName } from './command.ts';

interface CommandHelp {
  readonly usage: string;
  readonly help: string;
  readonly who: string;
  /** It has a meaning on a plain issue too. */
  readonly anywhere: boolean;
}

const deployers = "whom the environment's `allow` and the operator name; else people with write permission";
const writers = 'people with write permission';
const readers = 'who may read a private repository; in a public one, people with triage permission';

/** Every command that a comment may hold; /help lists them. */
export const commandHelp: Readonly<Record<CommandName, CommandHelp>> = {
  deploy: {
    usage: '/deploy ENV [REF] [-- key=value ...]',
    help: "Builds what is missing for this pull request's head, or for the branch, tag or commit REF, and rolls it out.",
    who: deployers,
    anywhere: true,
  },
  plan: {
    usage: '/plan [ENV] [REF]',
    help: 'Says what a deployment would change, and what it would wait for. Changes nothing.',
    who: readers,
    anywhere: true,
  },
  rollback: {
    usage: '/rollback ENV [N|SHA|TAG] [--force]',
    help: 'Restores the last healthy deployment, the Nth before it, or the one of that commit or tag, at once. `--force` goes over a lock.',
    who: `${deployers}; \`--force\`: maintainers`,
    anywhere: true,
  },
  promote: {
    usage: '/promote FROM TO',
    help: 'Deploys to TO the very images that are healthy in FROM now.',
    who: deployers,
    anywhere: true,
  },
  approve: {
    usage: '/approve [ENV]',
    help: 'Lets a deployment, or the next step of it, that waits for approval go on.',
    who: "whom the environment's `approvals` name, but neither the author of the change nor who asked for it",
    anywhere: true,
  },
  reject: {
    usage: '/reject [ENV] [REASON]',
    help: 'Ends a deployment that waits for approval. What it has rolled out goes back.',
    who: 'as `/approve`',
    anywhere: true,
  },
  lock: {
    usage: '/lock ENV [REASON] [--sticky]',
    help: "Keeps everybody else, and all that deploys by itself, out of the environment until `/unlock`, or until this pull request closes (not with `--sticky`). `/lock --all [REASON]` locks all of the repository's.",
    who: `${deployers}; \`--all\`: who may deploy to every environment, and maintainers`,
    anywhere: true,
  },
  unlock: {
    usage: '/unlock ENV [--force]',
    help: "Takes your lock off the environment; `/unlock --all`, the one off the whole repository. `--force` takes off somebody else's.",
    who: 'who locked it; `--force`: maintainers',
    anywhere: true,
  },
  where: {
    usage: '/where',
    help: 'Shows what runs in each environment, since when and by whom, with locks and queues.',
    who: readers,
    anywhere: true,
  },
  retry: {
    usage: '/retry [JOB]',
    help: "Runs the failed jobs of the newest run of this pull request's head again, or the named one of them.",
    who: writers,
    anywhere: false,
  },
  run: {
    usage: '/run JOB',
    help: "Runs a job of the newest run of this pull request's head again, also if it passed.",
    who: writers,
    anywhere: false,
  },
  cancel: {
    usage: '/cancel',
    help: 'Cancels what runs or waits for this pull request. A deployment under way goes back.',
    who: `${writers}; a deployment, of them who may deploy there or asked for it, and maintainers`,
    anywhere: false,
  },
  'ok-to-test': {
    usage: '/ok-to-test SHA',
    help: 'Runs a commit that waits for approval: exactly this one, and without secrets. A later push waits again.',
    who: `${writers}, but not the pull request's author`,
    anywhere: false,
  },
  help: { usage: '/help', help: 'Lists the commands, and the environments.', who: 'everybody', anywhere: true },
};

/** The commands as a table, in Markdown. */
export function helpText(): string {
  const rows = Object.values(commandHelp).map(
    ({ usage, help, who }) => `| \`${usage.replaceAll('|', '\\|')}\` | ${help} | ${who} |`,
  );
  return ['| Command | What it does | Who may |', '| --- | --- | --- |', ...rows].join('\n');
}
