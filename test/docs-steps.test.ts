import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { compileFile } from '#src/dialects/index.ts';
import { formatDiagnostic } from '#src/model/diagnostic.ts';
import { besideName, counts, otherSelector } from '#src/model/steps.ts';

const page = readFileSync(new URL('../docs/steps.md', import.meta.url), 'utf8');
const examples = [...page.matchAll(/```yaml\n([^]*?)```/g)].map((match) => match[1] ?? '');

describe('docs/steps.md', () => {
  it.each(examples.filter((it) => it.includes('environments:')))('holds a true example: %.40s', (text) => {
    const compiled = compileFile('slipway.yml', text);
    expect('diagnostics' in compiled && compiled.diagnostics.map(formatDiagnostic)).toEqual([]);
  });

  it('has the table of shares that is so', () => {
    const rows = [...page.matchAll(/^\| `(\d+)%` \| (\d+) \| (\d+) \|/gm)].map((it) => it.slice(1).map(Number));
    expect(rows).toHaveLength(3);
    for (const [percent = 0, canary, stable] of rows) {
      expect({ percent, ...counts(10, percent, false, 10) }).toEqual({ percent, canary, stable });
    }
    expect(counts(0, 25, true, 9).canary).toBe(3);
    expect(counts(0, 75, true, 9).canary).toBe(27);
  });

  it('names what is made', () => {
    for (const name of [besideName('api', 'canary'), besideName('api', 'blue-green')]) expect(page).toContain(name);
    expect(page).toContain(`app: ${otherSelector({ app: 'api' })['app']}`);
  });

  it('gives a Role that Kubernetes can read', () => {
    const role = parse(examples.find((it) => it.includes('kind: Role')) ?? '') as {
      readonly rules: readonly unknown[];
    };
    expect(role.rules).toHaveLength(4);
  });

  it('explains what is said', () => {
    const engine = readdirSync(new URL('../src/engine/', import.meta.url)).filter((it) => it.startsWith('steps'));
    const files = [...engine, 'checks.ts'].map((it) => `engine/${it}`);
    const more = ['adapters/kubernetes/beside.ts', 'adapters/kubernetes/canaries.ts', 'operator-deploy.ts'];
    const code = [...files, ...more].map((it) => readFileSync(new URL(`../src/${it}`, import.meta.url), 'utf8')).join();
    const rows = [...(page.split('## What you may see')[1] ?? '').matchAll(/^\| ([^|]+) \| [^|]+ \|$/gm)];
    const said = rows
      .map((it) => (it[1] ?? '').trim())
      .filter((it) => !['It says', '---', 'exceeded quota'].includes(it));
    expect(said.length).toBeGreaterThan(5);
    for (const words of said) expect({ words, said: code.includes(words) }).toEqual({ words, said: true });
  });
});
