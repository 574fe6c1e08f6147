import { commandHelp } from './command-help.ts';
import { ownLines } from './command-lines.ts';
import { quoted } from './deploy/words.ts';
import { distance } from './suggest.ts';

/** What a person asked for in a line of a comment. Names are as they were written. */
export type Command =
  | { readonly kind: 'help' | 'where' | 'cancel' }
  | {
      readonly kind: 'deploy';
      readonly environment: string;
      /** Branch, tag or commit; null: the pull request's head. */
      readonly ref: string | null;
      readonly params: Readonly<Record<string, string>>;
    }
  | { readonly kind: 'plan'; readonly environment: string | null; readonly ref: string | null }
  | { readonly kind: 'rollback'; readonly environment: string; readonly to: string | null; readonly force: boolean }
  | { readonly kind: 'promote'; readonly from: string; readonly to: string }
  | { readonly kind: 'approve'; readonly environment: string | null }
  /** `words`: maybe an environment first, then the reason. */
  | { readonly kind: 'reject'; readonly words: string }
  /** `environment`: null is the whole repository. */
  | {
      readonly kind: 'lock';
      readonly environment: string | null;
      readonly reason: string;
      readonly sticky: boolean;
    }
  | { readonly kind: 'unlock'; readonly environment: string | null; readonly force: boolean }
  /** `job`: its key or id; of `retry` null: all that failed. */
  | { readonly kind: 'retry'; readonly job: string | null }
  | { readonly kind: 'run'; readonly job: string }
  /** `sha`: how the commit begins, at least 7 hex digits in small letters; null if none is named. */
  | { readonly kind: 'ok-to-test'; readonly sha: string | null }
  /** One of our commands, written in a way that can't be carried out, or nearly one; `message` (Markdown) says what to write. */
  | { readonly kind: 'malformed'; readonly message: string };

export const commandNames = [
  'deploy',
  'plan',
  'rollback',
  'promote',
  'approve',
  'reject',
  'lock',
  'unlock',
  'where',
  'retry',
  'run',
  'cancel',
  'ok-to-test',
  'help',
] as const;
export type CommandName = (typeof commandNames)[number];

/** A command and the line where it stands. */
export interface Asked {
  /** From 0. */
  readonly line: number;
  /** As it was written, at most 200 characters. */
  readonly text: string;
  readonly command: Command;
}

/** More in one comment are refused, each with this word. */
export const mostCommands = 10;

/**
 * The commands in a comment, in order: lines that begin with `/` and the name of one, or with an alias (in small letters;
 * the longest that fits counts). Quotes, code and what is hidden are not looked at; other bots' commands are none of ours.
 */
export function parseCommands(body: string, aliases: Readonly<Record<string, string>> = {}): readonly Asked[] {
  const known = Object.entries(aliases)
    .map(([alias, command]) => ({ words: alias.toLowerCase().split(/\s+/), command }))
    .toSorted((a, b) => b.words.length - a.words.length || b.words.join(' ').length - a.words.join(' ').length);
  const asked: Asked[] = [];
  for (const { index, text } of ownLines(body)) {
    if (/^[\s>`]/.test(text)) continue;
    const command = parseLine(unaliased(text, known));
    if (command === null) continue;
    const shown = text.trim().slice(0, 200);
    if (asked.length === mostCommands) {
      const message = `A comment may hold ${mostCommands} commands: this one and what follows wasn't carried out.`;
      return [...asked, { line: index, text: shown, command: { kind: 'malformed', message } }];
    }
    asked.push({ line: index, text: shown, command });
  }
  return asked;
}

function unaliased(
  line: string,
  aliases: readonly { readonly words: readonly string[]; readonly command: string }[],
): string {
  if (aliases.length === 0) return line;
  const words = line.trim().split(/\s+/);
  const found = aliases.find((alias) => alias.words.every((word, at) => words[at]?.toLowerCase() === word));
  return found ? [found.command, ...words.slice(found.words.length)].join(' ') : line;
}

/** The command in a line, or null if it holds none. */
function parseLine(line: string): Command | null {
  const [, word = ''] = /^\/([a-z][a-z-]{1,30})(?=\s|$)/i.exec(line) ?? [];
  if (word === '') return null;
  const name = word.toLowerCase();
  const args = line.slice(word.length + 1).trim();
  if (isCommand(name)) return parsers[name](args.length > 4_000 ? args.slice(0, 4_000) : args);
  const meant = others.has(name) ? undefined : commandNames.find((it) => isSlip(name, it));
  if (meant === undefined) return null;
  return malformed(`There is no command \`/${name}\`. Did you mean \`/${meant}\`? It is written ${usage(meant)}.`);
}

function isCommand(name: string): name is CommandName {
  return (commandNames as readonly string[]).includes(name);
}

/** One slip, in a long name two: nearer to ours than other bots' commands and folders are. */
function isSlip(word: string, name: string): boolean {
  if (name.length < 4 || word.length < 4 || Math.abs(word.length - name.length) > 2) return false;
  return distance(word, name) <= (name.length >= 8 ? 2 : 1);
}

/** Well known commands of others that are nearly ours. */
const others: ReadonlySet<string> = new Set(['block', 'unblock', 'here', 'there', 'look', 'clock', 'plain', 'helm']);

const parsers: Readonly<Record<CommandName, (args: string) => Command>> = {
  help: () => ({ kind: 'help' }),
  where: (args) => alone('where', args),
  cancel: (args) => alone('cancel', args),

  deploy(args) {
    const split = / ?(?:^|\s)(?:--|—)(?=\s|$)/.exec(args);
    const [environment, ref = null, ...rest] = wordsOf(split ? args.slice(0, split.index) : args);
    if (environment === undefined || isFlag(environment)) return wrong('deploy', 'Name the environment');
    const odd = [ref, ...rest].find((word) => word !== null && isFlag(word));
    if (odd !== undefined) return wrong('deploy', `\`/deploy\` has no option ${quoted(odd ?? '')}`);
    if (rest.length > 0) return wrong('deploy', '`/deploy` takes one environment and one branch, tag or commit');
    const params = paramsOf(split ? args.slice(split.index + split[0].length) : '');
    if (typeof params === 'string') return wrong('deploy', params);
    return { kind: 'deploy', environment, ref, params };
  },

  plan(args) {
    const [environment = null, ref = null, ...rest] = wordsOf(args);
    if (rest.length > 0) return wrong('plan', '`/plan` takes one environment and one branch, tag or commit');
    return { kind: 'plan', environment, ref };
  },

  rollback(args) {
    const { words, flags } = flagged(args);
    const [environment, to = null, ...rest] = words;
    const odd = flags.find((flag) => flag !== '--force');
    if (environment === undefined) return wrong('rollback', 'Name the environment');
    if (odd !== undefined) return wrong('rollback', `\`/rollback\` has no option ${quoted(odd)}`);
    if (rest.length > 0) return wrong('rollback', '`/rollback` takes one environment, and one number, commit or tag');
    return { kind: 'rollback', environment, to, force: flags.length > 0 };
  },

  promote(args) {
    const [from, to, ...rest] = wordsOf(args);
    if (from === undefined || to === undefined || rest.length > 0) return wrong('promote', 'Name two environments');
    return { kind: 'promote', from, to };
  },

  approve(args) {
    const [environment = null, ...rest] = wordsOf(args);
    if (rest.length > 0) return wrong('approve', '`/approve` takes one environment');
    return { kind: 'approve', environment };
  },

  reject: (args) => ({ kind: 'reject', words: args }),

  lock(args) {
    const { words, flags } = flagged(args, ['--all', '--sticky']);
    const all = flags.includes('--all');
    const [environment] = words;
    if (!all && (environment === undefined || isFlag(environment))) {
      return wrong('lock', 'Name the environment, or write `/lock --all [REASON]` for the whole repository');
    }
    const reason = words.slice(all ? 0 : 1).join(' ');
    return {
      kind: 'lock',
      environment: all ? null : (environment ?? null),
      reason: reason.slice(0, 300),
      sticky: flags.includes('--sticky'),
    };
  },

  unlock(args) {
    const { words, flags } = flagged(args);
    const all = flags.includes('--all');
    const [environment, ...rest] = words;
    const odd = flags.find((flag) => flag !== '--all' && flag !== '--force');
    if (odd !== undefined) return wrong('unlock', `\`/unlock\` has no option ${quoted(odd)}`);
    if (rest.length > 0 || (all ? environment !== undefined : environment === undefined)) {
      return wrong('unlock', 'Name one environment, or write `/unlock --all`');
    }
    return { kind: 'unlock', environment: environment ?? null, force: flags.includes('--force') };
  },

  retry: (args) => ({ kind: 'retry', job: jobOf(args) }),

  run(args) {
    const job = jobOf(args);
    return job === null ? wrong('run', 'Name the job') : { kind: 'run', job };
  },

  'ok-to-test'(args) {
    const [sha, ...rest] = wordsOf(args);
    if (sha === undefined) return { kind: 'ok-to-test', sha: null };
    if (rest.length === 0 && /^[0-9a-f]{7,64}$/i.test(sha)) return { kind: 'ok-to-test', sha: sha.toLowerCase() };
    return wrong(
      'ok-to-test',
      '`/ok-to-test` takes the SHA of the commit that you looked at, at least its first 7 digits, and nothing else',
    );
  },
};

function alone(kind: 'where' | 'cancel', args: string): Command {
  return args === '' ? { kind } : wrong(kind, `\`/${kind}\` takes nothing: write it alone on a line`);
}

function wordsOf(args: string): readonly string[] {
  return args === '' ? [] : args.split(/\s+/).filter((word) => word !== '');
}

function isFlag(word: string): boolean {
  return /^(?:--|—)/.test(word);
}

/** Options apart from the rest: all that look like one, or those that are `known`. Telephones make one dash of two. */
function flagged(
  args: string,
  known?: readonly string[],
): { readonly words: readonly string[]; readonly flags: readonly string[] } {
  const words: string[] = [];
  const flags: string[] = [];
  for (const word of wordsOf(args)) {
    const flag = word.toLowerCase().replace(/^—/, '--');
    if (isFlag(flag) && (known?.includes(flag) ?? true)) flags.push(flag);
    else words.push(word);
  }
  return { words, flags };
}

const mostParams = 20;

/** `key=value`, values maybe in double quotes; what is wrong with them if it is a text. */
function paramsOf(text: string): Readonly<Record<string, string>> | string {
  const params = new Map<string, string>();
  for (const [word] of text.matchAll(/(?:"[^"]*"|[^\s"])+|"/g)) {
    const [, key, value = ''] = /^([A-Za-z_][A-Za-z0-9_-]{0,49})=([^]*)$/.exec(word) ?? [];
    if (key === undefined) return `Behind \`--\` stand values as \`key=value\`, and ${quoted(word)} is none`;
    const plain = value.replaceAll('"', '');
    if (plain.length > 200) return `The value of \`${key}\` is longer than 200 characters`;
    if (params.has(key)) return `\`${key}\` is given twice`;
    params.set(key, plain);
  }
  if (params.size > mostParams) return `There are more than ${mostParams} values`;
  return Object.fromEntries(params);
}

function jobOf(args: string): string | null {
  const job = args.replace(/^(["'])(.*)\1$/, '$2').trim();
  return job === '' ? null : job;
}

function usage(name: CommandName): string {
  return `\`${commandHelp[name].usage}\``;
}

function wrong(name: CommandName, what: string): Command {
  return malformed(`${what}: ${usage(name)}.`);
}

function malformed(message: string): Command {
  return { kind: 'malformed', message };
}
