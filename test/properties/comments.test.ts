/* oxlint-disable jest/no-conditional-expect -- what is asked of an answer depends on what it is */
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { type Command, commandNames, mostCommands, parseCommands } from '#src/model/command.ts';
import { anyText, check, madeOf, patience, subject } from './support.ts';

const names = commandNames.map((name) => `/${name}`);
const cased = fc.tuple(fc.constantFrom(...names), fc.boolean()).map(([name, big]) => (big ? name.toUpperCase() : name));
const command = fc
  .tuple(cased, fc.constantFrom('', ' staging', ' a b', ` ${'a'.repeat(40)}`))
  .map((parts) => parts.join(''));
const markdown = [
  '/deploy',
  '/help',
  '/cancel',
  ' production',
  '\n',
  '\r\n',
  '```',
  '~~~',
  '````',
  '<!--',
  '-->',
  '<!-->',
  '> ',
  '    ',
  '- ',
  '`',
  ' ',
  '\n/deploy x',
  '/ok-to-test ',
];
/** Words of people, which begin and end nothing. */
const prose = fc.array(
  fc.constantFrom(
    'Looks good',
    '',
    ' - a',
    '# Title',
    'see /deploy production',
    '1. `/deploy x`',
    'a/b',
    '  x',
    'é 🚀',
  ),
  { maxLength: 5 },
);
const hiding = fc.constantFrom<(line: string) => string>(
  (line) => `> ${line}`,
  (line) => `    ${line}`,
  (line) => `\`${line}\``,
  (line) => `\`\`\`\n${line}\n\`\`\``,
  (line) => `\`\`\`\`sh\n\`\`\`\n${line}\n\`\`\`\``,
  (line) => `\`\`\`\n\`\`\` js\n${line}\n\`\`\``,
  (line) => `~~~\n\`\`\`\n${line}\n~~~`,
  (line) => `<!--\n${line}\n-->`,
  (line) => `<!-- ${line} -->`,
  (line) => `<!-- a --> <!--\n${line}\n-->`,
  (line) => `<!--\n--> <!--\n${line}\n-->`,
  (line) => `<!--\n\`\`\`\n${line}\n-->`,
  (line) => ` ${line}`,
  (line) => `please ${line}`,
);

const aliases = { '.deploy': '/deploy', '.deploy x': '/deploy staging main', '!': '/where' };
const commandsIn = (body: string): readonly Command[] => parseCommands(body).map((asked) => asked.command);

describe(subject('comments'), () => {
  it(
    'reads any text',
    () => {
      check(fc.oneof(anyText, madeOf(markdown)), (body) => {
        const found = parseCommands(body);
        expect(parseCommands(body)).toEqual(found);
        expect(found.length).toBeLessThanOrEqual(mostCommands + 1);
        const lines = body.split(/\r?\n/);
        for (const { line } of found) expect(lines[line]).toMatch(/^\//);
        for (const { line } of parseCommands(body, aliases)) expect(lines[line]).toMatch(/^[/.!]/);
      });
    },
    patience,
  );

  it(
    'finds no command in a quote, in code, or in what is hidden',
    () => {
      check(fc.tuple(prose, hiding, command, prose), ([before, hide, line, after]) => {
        expect(commandsIn([...before, hide(line), ...after].join('\n'))).toEqual([]);
        expect(parseCommands([...before, hide('.deploy x'), ...after].join('\n'), aliases)).toEqual([]);
      });
    },
    patience,
  );

  it(
    'finds a command that stands at the start of a line, whatever is hidden around it',
    () => {
      const around = fc.array(
        fc.oneof(
          prose.map((lines) => lines.join('\n')),
          fc.tuple(hiding, command).map(([hide, line]) => hide(line)),
        ),
        { maxLength: 4 },
      );
      check(fc.tuple(around, command, around, fc.constantFrom('\n', '\r\n')), ([before, line, after, end]) => {
        const body = [...before, line, ...after].join('\n').replaceAll('\n', end);
        expect(commandsIn(body)).toEqual(commandsIn(line));
        expect(commandsIn(line)).toHaveLength(1);
        expect(parseCommands(body)[0]?.text).toBe(line.trim());
      });
    },
    patience,
  );

  it(
    'names no environment that the command has not',
    () => {
      check(fc.tuple(madeOf(['a', '-', '.', '/', '_'], 6), prose), ([name, before]) => {
        const [found] = commandsIn([...before, `/deploy ${name}`].join('\n'));
        if (found?.kind === 'deploy') expect(name.trim()).toContain(found.environment);
      });
    },
    patience,
  );

  it(
    'keeps the order of commands, and the values that they are given',
    () => {
      const key = fc.stringMatching(/^[a-z][a-z0-9_]{0,8}$/);
      const value = fc.stringMatching(/^[!#-~]{0,20}$/);
      const given = fc.dictionary(key, value, { maxKeys: 5 });
      check(fc.array(given, { minLength: 1, maxLength: mostCommands }), (all) => {
        const lines = all.map((params, index) => {
          const pairs = Object.entries(params).map(([name, text]) => `${name}=${text}`);
          return `/deploy e${index} -- ${pairs.join(' ')}`;
        });
        const found = commandsIn(lines.join('\n')).flatMap((it) => (it.kind === 'deploy' ? [it] : []));
        // Marks of code may hide whole lines: what is left is what was written.
        for (const it of found) expect({ ...it.params }).toEqual({ ...all[Number(it.environment.slice(1))] });
        if (!lines.join('').includes('`')) expect(found).toHaveLength(all.length);
      });
    },
    patience,
  );
});
