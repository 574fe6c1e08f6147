/* oxlint-disable jest/no-conditional-expect -- what is asked of an answer depends on what it is */
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { helpText, parseCommand } from '#src/model/command.ts';
import { anyText, check, madeOf, patience, subject } from './support.ts';

const names = [...helpText().matchAll(/`(\/[\w-]+)/g)].map((match) => match[1] ?? '');
const command = fc
  .tuple(fc.constantFrom(...names), fc.constantFrom('', ' staging', ' a b', ` ${'a'.repeat(40)}`))
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

describe(subject('comments'), () => {
  it(
    'reads any text',
    () => {
      check(fc.oneof(anyText, madeOf(markdown)), (body) => {
        const found = parseCommand(body);
        expect(parseCommand(body)).toEqual(found);
        if (found !== null) expect(body).toMatch(/^\//m);
      });
    },
    patience,
  );

  it(
    'finds no command in a quote, in code, or in what is hidden',
    () => {
      check(fc.tuple(prose, hiding, command, prose), ([before, hide, line, after]) => {
        expect(parseCommand([...before, hide(line), ...after].join('\n'))).toBeNull();
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
        expect(parseCommand(body)).toEqual(parseCommand(line));
        expect(parseCommand(line)).not.toBeNull();
      });
    },
    patience,
  );

  it(
    'names no environment that the command has not',
    () => {
      check(fc.tuple(madeOf(['a', '-', '.', '/', '_'], 6), prose), ([name, before]) => {
        const found = parseCommand([...before, `/deploy ${name}`].join('\n'));
        if (found?.kind === 'deploy') expect(name.trim()).toContain(found.environment);
      });
    },
    patience,
  );
});
