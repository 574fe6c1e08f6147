import { spawnSync } from 'node:child_process';
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import '#test/seeded.ts';
import { aroundStep, handOver } from '#src/adapters/docker/script-secrets.ts';
import { UserError } from '#src/model/outcome.ts';
import type { GivenSecret } from '#src/model/secret.ts';

const secret = (variable: string, value: string, more: Partial<GivenSecret> = {}): GivenSecret => ({
  variable,
  value,
  file: false,
  steps: null,
  ...more,
});

describe('handOver', () => {
  it.each(['sh', 'bash'])('exports 2,000 values of any text to %s as they are', (shell) => {
    const hostile = fc.constantFrom(
      "'",
      '"',
      '\\',
      '$(exit 9)',
      '`',
      '\n',
      '\r',
      ' ',
      '\t',
      '%',
      '!',
      '*',
      '~',
      ')',
      '}',
      '\n}\n',
    );
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(hostile).map((parts) => parts.join('')),
    );
    const value = text.map((it) => it.replaceAll('\0', '').toWellFormed());
    fc.assert(
      fc.property(fc.array(value, { minLength: 200, maxLength: 200 }), (values) => {
        const lines = handOver(values.map((it, index) => secret(`V${index}`, it)));
        const print = values.map((_, index) => `printf '%s\\0' "$V${index}"`);
        const { stdout, status } = spawnSync(shell, { input: ['{', ...lines, ...print, '}', ''].join('\n') });
        expect(status).toBe(0);
        expect(stdout.toString().split('\0').slice(0, -1)).toEqual(values);
      }),
      { numRuns: 10 },
    );
  });

  it.each([
    ['A B', 'x'],
    ['A;id', 'x'],
    ['1A', 'x'],
    ['', 'x'],
    ['A', 'a\0b'],
  ])('refuses the variable %j with %j, without telling the value', (variable, value) => {
    expect(() => handOver([secret(variable, value)])).toThrow(UserError);
    expect(() => handOver([secret(variable, value)])).not.toThrow(value);
  });
});

describe('aroundStep', () => {
  it('names the variables of its step alone, and no value: it stands in a file on the disk', () => {
    const given = [
      secret('A', 'value of a', { steps: [1] }),
      secret('B', 'value of b', { steps: [1, 2], file: true }),
      secret('C', 'value of c', { steps: [2] }),
      secret('D', 'value of d'),
    ];
    const { before, after } = aroundStep(given, 1);
    const text = [...before, ...after].join('\n');
    expect(text).not.toContain('value');
    expect(text).toMatch(/unset -v A B;/);
    expect(aroundStep(given, 0)).toEqual({ before: [], after: [] });
  });
});
