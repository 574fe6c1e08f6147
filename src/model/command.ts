/** What a person asked for in a comment on a pull request. */
export type Command =
  | { readonly kind: 'help' }
  | { readonly kind: 'cancel' }
  | { readonly kind: 'deploy'; readonly environment: string }
  /** `sha`: how the commit begins, at least 7 hex digits in small letters; null if none is named. */
  | { readonly kind: 'ok-to-test'; readonly sha: string | null }
  /** One of our commands, written in a way that can't be carried out; `message` says how it is written. */
  | { readonly kind: 'malformed'; readonly message: string };

interface CommandHelp {
  readonly usage: string;
  readonly help: string;
  readonly who: string;
}

/** Every command that a comment may hold; /help lists them. */
const commands = {
  deploy: {
    usage: '/deploy ENVIRONMENT',
    help: "Builds what is missing for this pull request's head commit and rolls it out to the environment.",
    who: 'people with write permission',
  },
  cancel: {
    usage: '/cancel',
    help: 'Cancels the unfinished runs of this pull request. A deployment under way goes back.',
    who: 'people with write permission',
  },
  'ok-to-test': {
    usage: '/ok-to-test SHA',
    help: 'Runs a commit that waits for approval: exactly this one, and without secrets. A later push waits again.',
    who: "people with write permission, but not the pull request's author",
  },
  help: { usage: '/help', help: 'Lists the commands.', who: 'everybody' },
} as const satisfies Record<string, CommandHelp>;

/**
 * Finds the command in a comment: a line that starts with `/` and the name of a command. Quoted lines, code blocks and
 * what HTML comments hide are not looked at. Null if there is none; other bots' commands are none of ours.
 */
export function parseCommand(body: string): Command | null {
  for (const words of lines(body)) {
    const [name, ...args] = words;
    if (name === '/help') return { kind: 'help' };
    if (name === '/deploy') return parseDeploy(args);
    if (name === '/cancel') return parseCancel(args);
    if (name === '/ok-to-test') return parseApproval(args);
  }
  return null;
}

function parseDeploy(args: readonly string[]): Command {
  const [environment, ...rest] = args;
  if (environment === undefined) {
    return { kind: 'malformed', message: `Name the environment: \`${commands.deploy.usage}\`.` };
  }
  if (rest.length > 0) {
    return {
      kind: 'malformed',
      message: `\`/deploy\` takes one environment and deploys this pull request's head: \`${commands.deploy.usage}\`.`,
    };
  }
  return { kind: 'deploy', environment };
}

function parseCancel(args: readonly string[]): Command {
  if (args.length === 0) return { kind: 'cancel' };
  const message = '`/cancel` cancels all unfinished runs of this pull request; write it alone on a line: `/cancel`.';
  return { kind: 'malformed', message };
}

function parseApproval(args: readonly string[]): Command {
  const [sha, ...rest] = args;
  if (sha === undefined) return { kind: 'ok-to-test', sha: null };
  if (rest.length === 0 && /^[0-9a-f]{7,64}$/i.test(sha)) return { kind: 'ok-to-test', sha: sha.toLowerCase() };
  const message = `\`/ok-to-test\` takes the SHA of the commit that you looked at, at least its first 7 digits, and nothing else: \`${commands['ok-to-test'].usage}\`.`;
  return { kind: 'malformed', message };
}

/** The words of each line that people see and that is neither quoted nor code. */
function* lines(body: string): Generator<readonly string[]> {
  let fence: string | null = null;
  let hidden = false;
  for (const line of body.split(/\r?\n/)) {
    if (hidden) {
      // One may end and the next begin in this line.
      hidden = !line.includes('-->') || line.lastIndexOf('<!--') > line.lastIndexOf('-->');
      continue;
    }
    const [mark, behind] = /^ {0,3}(`{3,}|~{3,})([^]*)$/.exec(line)?.slice(1) ?? [];
    if (fence !== null) {
      if (mark?.startsWith(fence) && behind?.trim() === '') fence = null;
      continue;
    }
    if (mark !== undefined) {
      fence = mark;
      continue;
    }
    hidden = line.lastIndexOf('<!--') > line.lastIndexOf('-->');
    if (line.startsWith('/')) yield line.trim().split(/\s+/);
  }
}

/** The answer to /help, in Markdown. */
export function helpText(): string {
  const rows = Object.values(commands).map((c) => `| \`${c.usage}\` | ${c.help} | ${c.who} |`);
  return ['| Command | What it does | Who may |', '| --- | --- | --- |', ...rows].join('\n');
}
