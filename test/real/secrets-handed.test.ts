import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { JobRequest, JobResult } from '#src/engine/ports.ts';
import type { GivenSecret } from '#src/model/secret.ts';
import { jobRequest, never, told } from '#test/contracts/executor.ts';
import { bashImage, derivedImage, gnuImage, openSite, type Site } from './docker.ts';

/** Whatever a value holds, the job has exactly that. */
const values = [
  `it's "quoted" $(touch /tmp/owned) \`touch /tmp/owned\` $HOME \${HOME} \\ \\n %s %d`,
  'two lines\nand blank ones\n\n\n',
  "'",
  '"',
  '\\',
  '-n',
  '*',
  '~',
  '  blanks around  ',
  'tab\tand\rreturn\r\n',
  'ünïcödé ☃ 𝄞',
  "!x #y $'z' EOF\nEOF\n)\n}\n'",
  'x'.repeat(60_000),
];
const given: readonly GivenSecret[] = values.flatMap((value, i): readonly GivenSecret[] => [
  { variable: `A${i}`, value, file: false, steps: null },
  { variable: `B${i}`, value, file: true, steps: null },
  { variable: `C${i}`, value, file: false, steps: [1] },
  { variable: `D${i}`, value, file: true, steps: [1] },
]);
const all = values.map((_, i) => i);

let site: Site;
let bash: string;
let gnu: string;
let user: string;
beforeAll(async () => {
  site = await openSite();
  [bash, gnu] = await Promise.all([bashImage(), gnuImage()]);
  user = await derivedImage('slipway-test/secrets-user', gnu, ['USER 1234:1234']);
});
afterAll(() => site.dispose());

async function run(
  steps: readonly string[],
  more: Partial<JobRequest>,
  warm = false,
): Promise<JobResult & { readonly log: string }> {
  const executor = site.open({ warm: warm ? 1 : 0 });
  const teller = told();
  const request = jobRequest(steps, { image: bash, ...more, secrets: (more.given ?? []).map(({ value }) => value) });
  if (warm) executor.expect(request.image);
  const result = await executor.run(request, Promise.resolve(site.tree), teller.listener, never);
  await executor.close();
  return { ...result, log: teller.log() };
}

describe('secrets reach a job as they are', () => {
  it.each<[string, string, 'sh' | 'bash', boolean]>([
    ['busybox', 'bash', 'sh', false],
    ['bash', 'bash', 'bash', false],
    ['dash', 'gnu', 'sh', false],
    ['bash of another system', 'gnu', 'bash', false],
    ['dash as another user', 'user', 'sh', false],
    ['busybox in a container kept ready', 'bash', 'sh', true],
  ])('with %s', async (_, which, shell, warm) => {
    const image = { bash, gnu, user }[which];
    const keep = [
      ...all.map((i) => `printf %s "$A${i}" >a${i}; cat "$B${i}" >b${i}`),
      'ls -l "$B0" >modes; ls -l -d /run/slipway >>modes',
    ];
    const own = all.map((i) => `printf %s "$C${i}" >c${i}; cat "$D${i}" >d${i}`);
    const after = [
      `[ -z "\${C0+x}\${C1+x}\${D0+x}\${D1+x}" ] || echo still there`,
      // Emptied where the image has no rm.
      'for f in /run/slipway/.s* /run/slipway/*; do [ ! -s "$f" ] || echo "$f"; done >left',
    ];
    const steps = [
      `${keep.join('\n')}\n[ -z "\${C0+x}\${D0+x}" ] || echo too early`,
      own.join('\n'),
      after.join('\n'),
      'if [ -e /tmp/owned ]; then echo owned; fi',
    ];
    const { outcome, log, reports } = await run(
      steps,
      { ...(image ? { image } : {}), shell, given, reports: ['*'] },
      warm,
    );
    expect(outcome).toEqual({ kind: 'success' });
    for (const [i, value] of values.entries()) {
      for (const kind of ['a', 'b', 'c', 'd']) expect([kind, i, reports.get(`${kind}${i}`)]).toEqual([kind, i, value]);
    }
    expect(log).not.toMatch(/^(too early|still there|owned)/m);
    expect(reports.get('modes')).toMatch(/^-rw------- /);
    expect(reports.get('modes')).toMatch(/^drwxrwxrwt /m);
    // Of the steps nothing is left in memory.
    expect(reports.get('left')?.replaceAll(/\/run\/slipway\/B\d+\n/g, '')).toBe('');
  });

  it.each(['sh', 'bash'] as const)('whatever the steps before did to %s', async (shell) => {
    const given = [
      { variable: 'T', value: 'the value of t', file: false, steps: [2] },
      { variable: 'F', value: 'the value of f', file: true, steps: [2] },
    ];
    const hostile = 'set -x; set -v; set -C; set -f; set -u; IFS=T; umask 777; readonly Z=1; printf() { :; }; cd /';
    const keep = 'cat "$F" >/workspace/f; echo "$T" >/workspace/t; set +x';
    const steps = ['set -a', hostile, keep];
    const { outcome, log, reports } = await run(steps, {
      shell,
      given,
      reports: ['t', 'f'],
      image: gnu,
    });
    expect([outcome, log]).toEqual([{ kind: 'success' }, expect.any(String)]);
    expect([...reports]).toEqual([
      ['f', 'the value of f'],
      ['t', 'the value of t\n'],
    ]);
    expect(log).not.toContain('the value');
  });

  it('and a step whose secrets were removed by another says so', async () => {
    const given = [{ variable: 'T', value: 'the value', file: false, steps: [1] }];
    const { outcome, log } = await run(['rm -rf /run/slipway/.step-1', 'echo never here'], { given });
    expect(outcome.kind).toBe('failure');
    expect(log).toContain('the secrets of this step are gone');
    expect(log).not.toContain('\nnever here');
  });

  it('but not with a byte 0, nor if they fill the memory', async () => {
    const zero = await run(['true'], { given: [{ variable: 'T', value: 'a\0bcd', file: false, steps: null }] });
    expect(zero.outcome).toMatchObject({ kind: 'failure', reason: expect.stringContaining('byte 0') });
    const many = Array.from({ length: 40 }, (_, i) => ({
      variable: `T${i}`,
      value: `${i} ${'x'.repeat(60_000)}`,
      file: true,
      steps: null,
    }));
    const full = await run(['echo never'], { given: many });
    expect(full.outcome.kind).toBe('failure');
    expect(full.log).toContain("can't be written into memory");
    expect(full.log).not.toContain('\nnever');
  });
});
