import { expect, it } from '@jest/globals';
import { BuildProgress } from '#src/adapters/docker/build/progress.ts';
import type { BuildStatus, Vertex } from '#src/adapters/docker/build/trace.ts';

function vertex(digest: string, name: string, rest: Partial<Vertex> = {}): Vertex {
  return { digest, name, cached: false, startedAt: 1000, completedAt: null, error: '', ...rest };
}

function status(rest: Partial<BuildStatus>): BuildStatus {
  return { vertexes: [], statuses: [], logs: [], ...rest };
}

function show(statuses: readonly BuildStatus[]) {
  const chunks: Buffer[] = [];
  const progress = new BuildProgress((bytes) => chunks.push(bytes));
  for (const each of statuses) progress.take(each);
  return { text: Buffer.concat(chunks).toString(), failed: progress.failed };
}

const make = vertex('m', '[2/3] RUN make');
const lint = vertex('l', '[3/3] RUN lint');
const say = (digest: string, text: string) => ({ vertex: digest, bytes: Buffer.from(text) });

it.each<[string, readonly BuildStatus[], string]>([
  [
    'an instruction with its output and its time',
    [
      status({ vertexes: [make] }),
      status({ logs: [say('m', 'one\ntw'), say('m', 'o\n')] }),
      status({ vertexes: [{ ...make, completedAt: 3500 }] }),
    ],
    '#1 [2/3] RUN make\none\ntwo\n#1 done, 2.5 s\n',
  ],
  [
    'one from the cache',
    [status({ vertexes: [{ ...make, cached: true, completedAt: 1000 }] })],
    '#1 [2/3] RUN make\n#1 cached\n',
  ],
  [
    'who speaks, where instructions run side by side',
    [
      status({ vertexes: [make, lint] }),
      status({ logs: [say('m', 'from make'), say('l', 'from lint\n')] }),
      status({ logs: [say('l', 'more\n')] }),
    ],
    '#1 [2/3] RUN make\n#2 [3/3] RUN lint\n#1 [2/3] RUN make (goes on)\nfrom make\n#2 [3/3] RUN lint (goes on)\nfrom lint\nmore\n',
  ],
  [
    'what was moved',
    [
      status({ vertexes: [make], statuses: [] }),
      status({ statuses: [{ id: 'layer', vertex: 'm', bytes: 1e6 }] }),
      status({ statuses: [{ id: 'layer', vertex: 'm', bytes: 3e6 }] }),
      status({
        vertexes: [
          { ...make, completedAt: 2000 },
          { ...make, completedAt: 2000 },
        ],
      }),
    ],
    '#1 [2/3] RUN make\n#1 done, 1.0 s, 3.0 MB\n',
  ],
  [
    'nothing of what is internal',
    [status({ vertexes: [vertex('i', '[internal] load build context', { completedAt: 2 })] })],
    '',
  ],
  ['nothing that has not started', [status({ vertexes: [{ ...make, startedAt: null }] })], ''],
])('shows %s', (_name, statuses, text) => {
  expect(show(statuses).text).toBe(text);
});

it('knows which instruction failed, and which were only cancelled with it', () => {
  const { failed, text } = show([
    status({ vertexes: [make, lint] }),
    status({
      vertexes: [
        { ...lint, completedAt: 2000, error: 'context canceled: context canceled' },
        { ...make, completedAt: 2000, error: 'exit code: 1' },
      ],
    }),
  ]);
  expect(failed?.name).toBe('[2/3] RUN make');
  expect(text).toContain('#1 failed: exit code: 1\n');
});
