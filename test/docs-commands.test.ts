import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { commandNames, parseCommands } from '#src/model/command.ts';
import { commandHelp } from '#src/model/command-help.ts';

const text = readFileSync(new URL('../docs/commands.md', import.meta.url), 'utf8');
const blocks = [...text.matchAll(/^```\n([^]*?)^```$/gm)].map((match) => match[1] ?? '');
const examples = blocks.flatMap((block) => block.split('\n').filter((line) => line.startsWith('/')));

describe('docs/commands.md', () => {
  it.each(examples)('%s is a command', (line) => {
    const [asked, ...others] = parseCommands(line);
    expect(others).toEqual([]);
    expect(asked?.command.kind).toBe(/^\/([a-z-]+)/.exec(line)?.[1]);
  });

  it.each(commandNames)('tells of /%s as /help does, with an example', (name) => {
    expect(text).toContain(`### \`${commandHelp[name].usage}\``);
    expect(examples.some((line) => line.split(' ')[0] === `/${name}`)).toBe(true);
  });

  it('tells in its first example which lines are commands', () => {
    expect(parseCommands(blocks[0] ?? '').map(({ text: line }) => line)).toEqual(['/deploy staging']);
  });

  it.each(['> /deploy', '/lgtm', '/etc/hosts'])('tells rightly that %s is none', (line) => {
    expect(text).toContain(line);
    expect(parseCommands(line)).toEqual([]);
  });
});
