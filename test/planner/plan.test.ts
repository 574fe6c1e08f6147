import { describe, expect, it } from '@jest/globals';
import { compileFile } from '#src/dialects/index.ts';
import type { Trigger } from '#src/model/event.ts';
import type { PlannedJob } from '#src/model/plan.ts';
import { plan } from '#src/planner/plan.ts';
import { repository, sha } from '#test/model/samples.ts';

const base = { sha, actor: 'ada', title: 't', ref: 'refs/x' };
const push = (branch: string): Trigger => ({ ...base, kind: 'push', branch });
const tag = (name: string): Trigger => ({ ...base, kind: 'tag', tag: name });
const pull = (fork: boolean, branch = 'topic'): Trigger => ({
  ...base,
  kind: 'pull_request',
  number: 7,
  branch,
  base: 'main',
  fork,
});
const group: Trigger = { ...base, kind: 'merge_group', base: 'main' };
const deploy = (environment: string, branch = 'topic'): Trigger => ({
  ...base,
  kind: 'deploy',
  environment,
  branch,
  number: 7,
  request: '1',
});

const SHOP = `
jobs:
  lint: { image: x, run: y }
  test: { image: x, run: y, matrix: { node: [22, 24] } }
  image: { needs: [lint, test], build: { image: ghcr.io/acme/shop } }
  docs: { image: x, run: y, needs: image }
environments:
  staging:
    on: { branch: [main, release/*] }
    url: https://\${{ event.branch }}.example.com
    rollout: [{ deployment: shop/api, container: api, image: image }]
  production:
    on: { tag: v* }
    rollout: [{ deployment: shop/api, container: api, image: image }]
`;

function planned(file: string, trigger: Trigger, message = '', done: readonly string[] = []) {
  const compiled = compileFile('slipway.yml', file);
  if (compiled.kind !== 'pipeline') throw new Error(JSON.stringify(compiled));
  return plan(compiled.pipeline, trigger, repository, { message, done: new Set(done) });
}

function jobs(...args: Parameters<typeof planned>): readonly PlannedJob[] {
  const answer = planned(...args);
  if (answer.kind === 'refused') throw new Error(answer.message);
  return answer.plan.jobs;
}

const keys = (list: readonly PlannedJob[]) => list.map((job) => job.key);
const tagsOf = (list: readonly PlannedJob[]) => list.flatMap(({ work }) => (work.kind === 'image' ? work.tags : []));
const all = ['lint', 'test (node 22)', 'test (node 24)', 'image', 'docs'];

describe('what an event makes of a pipeline', () => {
  it.each<[string, Trigger, readonly string[], readonly string[]]>([
    ['a push to a branch that deploys', push('main'), [...all, 'deploy staging'], ['main', sha]],
    ['a pattern of branches', push('release/1.x'), [...all, 'deploy staging'], ['release-1.x', sha]],
    ['a push to another branch', push('topic'), all, []],
    ['a tag that deploys', tag('v1.4.0'), [...all, 'deploy production'], ['v1.4.0', sha]],
    ['another tag is pushed as well', tag('nightly+1'), all, ['nightly-1', sha]],
    ['a pull request', pull(false), all, []],
    ["a stranger's pull request from a branch called main", pull(true, 'main'), all, []],
    ['a merge group', group, all, []],
    ['/deploy', deploy('staging'), ['lint', 'test (node 22)', 'test (node 24)', 'image', 'deploy staging'], [sha]],
    [
      '/deploy of a branch called main in a fork',
      deploy('staging', 'main'),
      ['lint', 'test (node 22)', 'test (node 24)', 'image', 'deploy staging'],
      [sha],
    ],
  ])('%s', (_, trigger, expected, tags) => {
    const list = jobs(SHOP, trigger);
    expect(keys(list)).toEqual(expected);
    expect(tagsOf(list)).toEqual(tags);
  });

  it('makes a need of a matrix a need of all its instances', () => {
    expect(jobs(SHOP, push('topic'))[3]?.needs).toEqual(['lint', 'test (node 22)', 'test (node 24)']);
  });

  it('deploys after everything else, if nothing failed and the image is there', () => {
    expect(jobs(SHOP, push('main')).at(-1)).toMatchObject({
      key: 'deploy staging',
      id: 'deploy:staging',
      needs: all,
      if: "!failure() && !cancelled() && needs['image'].result == 'success'",
      skip: null,
      timeoutMinutes: 10,
      work: { kind: 'deploy', environment: 'staging', url: 'https://main.example.com' },
    });
  });

  it('deploys nothing whose image this event does not build', () => {
    const file = SHOP.replace('image: { needs', "image: { if: event.kind == 'tag', needs");
    expect(jobs(file, push('main')).at(-1)?.skip).toBe(
      "The job \"image\" doesn't build its image: The condition `event.kind == 'tag'` is false for this event.",
    );
  });

  it('leaves out of a /deploy what is done', () => {
    expect(keys(jobs(SHOP, deploy('staging'), '', ['lint', 'test (node 22)']))).toEqual([
      'test (node 24)',
      'image',
      'deploy staging',
    ]);
    const built = jobs(SHOP, deploy('staging'), '', ['image']);
    expect(keys(built)).toEqual(['deploy staging']);
    expect(built[0]).toMatchObject({ needs: [], if: '!failure() && !cancelled()' });
    expect(keys(jobs(SHOP, push('topic'), '', ['lint', 'image']))).toEqual(all);
  });

  it.each([
    [SHOP, 'There is no environment "prod". slipway.yml has: staging, production.'],
    ['jobs: { a: { image: x, run: y } }', 'There is no environment "prod": slipway.yml has no environments.'],
  ])('refuses an environment that is not there', (file, message) => {
    expect(planned(file, deploy('prod'))).toEqual({ kind: 'refused', message });
  });
});

describe('instances', () => {
  it.each([
    ['{ node: [22, 24] }', '', ['t (node 22)', 't (node 24)']],
    ['{ node: [22], os: [debian, alpine] }', '', ['t (node 22, os debian)', 't (node 22, os alpine)']],
    [
      '{ node: [22, 24], os: [a, b], exclude: [{ node: "22", os: a }] }',
      '',
      ['t (node 22, os b)', 't (node 24, os a)', 't (node 24, os b)'],
    ],
    ['{ include: [{ a: 1 }, { a: 2, b: x }] }', '', ['t (a 1)', 't (a 2, b x)']],
    // The example of GitHub's documentation.
    [
      '{ fruit: [apple, pear], animal: [cat, dog], include: [{ color: green }, { color: pink, animal: cat }, { fruit: apple, shape: circle }, { fruit: banana }, { fruit: banana, animal: cat }] }',
      '',
      [
        't (fruit apple, animal cat, color pink, shape circle)',
        't (fruit apple, animal dog, color green, shape circle)',
        't (fruit pear, animal cat, color pink)',
        't (fruit pear, animal dog, color green)',
        't (fruit banana)',
        't (fruit banana, animal cat)',
      ],
    ],
    ['{ node: [22, 24] }', 'Test', ['Test (node 22)', 'Test (node 24)']],
    ['{ node: [22, 24] }', 'Test on ${{ matrix.node }}', ['Test on 22', 'Test on 24']],
    ['{ node: [22], os: [a, b] }', 'Test on ${{ matrix.node }}', ['Test on 22', 'Test on 22 #2']],
    ['{ a: [1] }', 'slipway${{ matrix.b }}', ['slipway #2']],
  ])('of %s, called "%s"', (matrix, name, expected) => {
    const include = name.includes('matrix.b') ? '{ a: [1], include: [{ b: "" }] }' : matrix;
    expect(
      keys(jobs(`jobs: { t: { ${name && `name: "${name}", `}image: x, run: y, matrix: ${include} } }`, push('x'))),
    ).toEqual(expected);
  });

  it('have their templates filled in', () => {
    const file = `
jobs:
  t:
    image: node:\${{ matrix.node }}
    matrix: { node: [24] }
    run: echo \${{ matrix.node }}
    env: { WHERE: "\${{ event.branch }}" }
    workdir: n\${{ matrix.node }}
    services: { db: { image: "pg:\${{ matrix.node }}", env: { A: "\${{ matrix.node }}" } } }
    if: matrix.node == 24
`;
    expect(jobs(file, push('$(reboot)'))[0]).toMatchObject({
      matrix: { node: 24 },
      if: null,
      skip: null,
      work: {
        image: 'node:24',
        steps: [{ name: 'echo 24', script: 'echo 24' }],
        env: { WHERE: '$(reboot)' },
        workdir: 'n24',
        services: [{ name: 'db', image: 'pg:24', env: { A: '24' } }],
      },
    });
  });

  it.each([
    [
      'image: x, run: y, matrix: { a: [".."] }, workdir: "${{ matrix.a }}"',
      'workdir of the job "t" leads out of the repository: "..".',
    ],
    [
      'image: x, run: y, env: { A: "${{ fromJSON(event.branch) }}" }',
      'env.A of the job "t" can\'t be evaluated: Error parsing JSON when evaluating fromJson.',
    ],
  ])('are refused where %s', (job, message) => {
    expect(planned(`jobs: { t: { ${job} } }`, push('x'))).toEqual({ kind: 'refused', message });
  });

  it('are refused in masses', () => {
    const many = Array.from(
      { length: 3 },
      (_, i) => `j${i}: { image: x, run: y, matrix: { a: [${Array.from({ length: 200 }, (_, n) => n).join()}] } }`,
    );
    expect(planned(`jobs: { ${many.join(', ')} }`, push('x'))).toMatchObject({
      kind: 'refused',
      message: expect.stringContaining('600 jobs'),
    });
  });
});

describe('conditions that the event settles', () => {
  it.each([
    ["event.kind == 'push'", null, null],
    ['false', 'The condition `false` is false for this event.', null],
    ["event.tag != ''", "The condition `event.tag != ''` is false for this event.", null],
    ["event.tag != '' && always()", null, "event.tag != '' && always()"],
  ])('%s', (condition, skip, later) => {
    expect(jobs(`jobs: { t: { image: x, run: y, if: "${condition}" } }`, push('x'))[0]).toMatchObject({
      skip,
      if: later,
    });
  });
});

describe('[skip ci]', () => {
  it.each([
    ['fix [skip ci]', true],
    ['[CI SKIP] fix', true],
    ['fix\n\nlong text [no ci]', true],
    ['[skip actions]', true],
    ['[actions skip]', true],
    ['fix\n\ntext\n\nSigned-off-by: a\nskip-checks: true', true],
    ['skip-checks: true', false],
    ['fix\n\nskip-checks: true\n\nmore', false],
    ['fix skip ci', false],
  ])('%j: %s', (message, skips) => {
    const list = jobs(SHOP, push('main'), message);
    expect(list.every((job) => (job.skip !== null) === skips)).toBe(true);
    expect(keys(list)).toEqual([...all, 'deploy staging']);
  });

  it('does not hold for tags and deployments', () => {
    expect(jobs(SHOP, tag('v1'), '[skip ci]').every((job) => job.skip === null)).toBe(true);
    expect(jobs(SHOP, deploy('staging'), '[skip ci]').every((job) => job.skip === null)).toBe(true);
  });
});

describe('secrets of a plan', () => {
  const file = `
jobs:
  image: { build: { image: ghcr.io/acme/shop, secrets: [NPM_TOKEN] } }
  migrate:
    image: x
    environment: production
    secrets: { URL: database_url }
    env: { KEY: { sealed: "sealed:v1:x" } }
    run: [{ run: y, secrets: [OTP] }, z]
    docker: true
    network: none
environments:
  production:
    on: { branch: main, tag: v* }
    rollout: [{ deployment: shop/api, container: api, image: image }]
`;
  const work = (trigger: Trigger) => jobs(file, trigger).map((job) => job.work);

  it('are names and sealed texts, for the job or one of its steps', () => {
    const [image, migrate] = work(push('topic'));
    expect(image).toMatchObject({ build: { secrets: { NPM_TOKEN: 'NPM_TOKEN' } } });
    expect(migrate).toMatchObject({
      secrets: { named: { URL: { name: 'database_url', file: false } }, sealed: { KEY: 'sealed:v1:x' } },
      steps: [{ script: 'y', secrets: { OTP: { name: 'OTP', file: false } } }, { script: 'z' }],
      docker: true,
      access: { privileged: false, network: 'none', devices: [], volumes: [] },
    });
  });

  it.each<[string, Trigger, string | undefined]>([
    ['a push that deploys there', push('main'), 'production'],
    ['a tag that deploys there', tag('v1'), 'production'],
    ['a push that does not', push('topic'), undefined],
    ['a pull request', pull(false, 'main'), undefined],
    ["a stranger's pull request", pull(true, 'main'), undefined],
    ['a merge group', group, undefined],
  ])('come from the environment for %s', (_, trigger, expected) => {
    expect(work(trigger)[1]).toHaveProperty('kind', 'script');
    expect((work(trigger)[1] as { environment?: string }).environment).toBe(expected);
  });
});
