import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { compileFile } from '#src/dialects/index.ts';
import { formatDiagnostic } from '#src/model/diagnostic.ts';
import { explain } from '#src/model/rollout-trouble.ts';

const page = readFileSync(new URL('../docs/deployments.md', import.meta.url), 'utf8');
const examples = [...page.matchAll(/```yaml\n([^]*?)```/g)].map((match) => match[1] ?? '');
const isPipeline = (text: string) => /^environments:/m.test(text);

describe('docs/deployments.md', () => {
  it.each(examples.filter(isPipeline))('holds a true example: %.40s', (text) => {
    const compiled = compileFile('slipway.yml', text);
    expect('diagnostics' in compiled && compiled.diagnostics.map(formatDiagnostic)).toEqual([]);
  });

  it('gives a Role that Kubernetes can read', () => {
    const roles = examples.filter((text) => text.includes('kind: Role'));
    const kinds = roles.flatMap((text) => parseAllDocuments(text).map((it) => (it.toJS() as { kind: string }).kind));
    expect(kinds).toEqual(['ServiceAccount', 'Role', 'RoleBinding']);
  });

  it('explains what rollouts say', () => {
    const said = (['image', 'crash', 'config', 'create', 'schedule', 'start', 'unready', 'ended'] as const).map(
      (kind) =>
        explain({
          kind,
          reason: 'CreateContainerConfigError',
          message: '',
          pod: '',
          container: 'C',
          restarts: 3,
          exitCode: 1,
        }),
    );
    const keys = [...page.matchAll(/^\| ([^|]+) \|[^|]+\|$/gm)].map((match) => match[1] ?? '');
    for (const sentence of said) {
      const words = sentence.replaceAll(/(of )?container C /g, '');
      const found = keys.filter((key) => words.includes(key.replace(/ \(.*| N$/, '')));
      expect({ words, found: found.length }).toEqual({ words, found: 1 });
    }
  });
});
