import { describe, expect, it } from '@jest/globals';
import { compileFile } from '#src/dialects/index.ts';
import { environmentGroup } from '#src/model/concurrency.ts';
import { noRules } from '#src/model/deploy-rules.ts';
import type { DeployTrigger, Trigger } from '#src/model/event.ts';
import type { DeployWork, PlannedJob } from '#src/model/plan.ts';
import { type PlanOptions, plan } from '#src/planner/plan.ts';
import { releaseEnvironments } from '#src/planner/deploy.ts';
import { rollbackPlan } from '#src/planner/rollback.ts';
import { plannedOf, repository, sha } from '#test/model/samples.ts';

const base = { sha, actor: 'ada', title: 't', ref: 'refs/x' };
const push = (branch: string): Trigger => ({ ...base, kind: 'push', branch });
const tag = (name: string): Trigger => ({ ...base, kind: 'tag', tag: name });
const pull = (fork = false): Trigger => ({
  ...base,
  kind: 'pull_request',
  number: 7,
  branch: 'topic',
  base: 'main',
  fork,
});
const deploy = (environment: string, more: Partial<DeployTrigger> = {}): DeployTrigger => ({
  ...base,
  kind: 'deploy',
  environment,
  branch: 'topic',
  number: 7,
  request: '1',
  ...more,
});
const digest = (letter: string) => `ghcr.io/acme/shop@sha256:${letter.repeat(64)}`;

const SHOP = `
jobs:
  test: { image: x, run: y, artifacts: dist }
  image: { needs: test, build: { image: ghcr.io/acme/shop } }
  smoke: { image: x, run: y, needs: test, if: false, concurrency: smoke, environment: production, secrets: [KEY] }
environments:
  staging:
    on: { branch: main, tag: v* }
    rollout: [{ deployment: shop-staging/api, container: api, image: image }]
  production:
    on: { tag: v*, release: true }
    after: staging
    approvals: 2
    queue: newest
    stable: 30s
    parallel: true
    timeout: 20m
    rollout: [{ deployment: shop/api, container: api, image: image }]
    steps:
      - 10%
      - { probe: "https://\${{ event.params.host }}/health?tag=\${{ event.tag }}" }
      - { job: smoke }
      - 50%
      - { job: smoke }
  elsewhere:
    on: manual
    gitops: { repository: acme/deploy, file: shop.yaml, field: image, image: image }
`;

function planned(file: string, trigger: Trigger, options: Partial<PlanOptions> = {}) {
  const compiled = compileFile('slipway.yml', file);
  if (compiled.kind !== 'pipeline') throw new Error(JSON.stringify(compiled));
  return plan(compiled.pipeline, trigger, repository, { message: '', done: new Set(), ...options });
}

function jobs(...args: Parameters<typeof planned>): readonly PlannedJob[] {
  const answer = planned(...args);
  if (answer.kind === 'refused') throw new Error(answer.message);
  return answer.plan.jobs;
}

const host = { params: { host: 'shop.example.com' } };
const keys = (list: readonly PlannedJob[]) => list.map((job) => job.key);
const find = (list: readonly PlannedJob[], key: string) => list.find((job) => job.key === key);
const workOf = (list: readonly PlannedJob[], environment: string) =>
  find(list, `deploy ${environment}`)?.work as DeployWork;
const checks = ['smoke (production, step 3)', 'smoke (production, step 5)'];
const plain = SHOP.replace('${{ event.params.host }}', 'shop.example.com');

describe('a deploy job', () => {
  it('carries what its environment asks for', () => {
    const list = jobs(SHOP, deploy('production', { ...host, tag: 'v1' }));
    expect(find(list, 'deploy production')).toMatchObject({
      timeoutMinutes: 20,
      concurrency: { group: environmentGroup('production'), cancelInProgress: false, queue: 'single' },
    });
    expect(workOf(list, 'production')).toMatchObject({
      mode: 'deploy',
      rules: { ...noRules, after: ['staging'], approvals: { count: 2 } },
      stableSeconds: 30,
      atOnce: true,
      gitops: null,
      strategy: {
        kind: 'canary',
        steps: [
          { kind: 'weight', percent: 10 },
          { kind: 'probe', url: 'https://shop.example.com/health?tag=v1' },
          { kind: 'job', job: 'smoke' },
          { kind: 'weight', percent: 50 },
          { kind: 'job', job: 'smoke' },
          { kind: 'weight', percent: 100 },
        ],
      },
    });
  });

  it('says which address cannot be', () => {
    expect(planned(SHOP.replace('https://${{ event.params.host }}', '${{ event.branch }}'), push('main')).kind).toBe(
      'plan',
    );
    expect(planned(SHOP.replace('https://${{ event.params.host }}', '${{ event.branch }}'), tag('v1'))).toEqual({
      kind: 'refused',
      message:
        'probe of step 2 of the environment "production": "/health?tag=v1" is no address: it must start with https://.',
    });
  });

  it.each<[string, Trigger, readonly string[]]>([
    ['in the same run', tag('v1'), ['test', 'image', 'smoke', 'deploy staging']],
    ['in another run', deploy('production', host), ['test', 'image']],
  ])('waits for the environments before it %s', (_, trigger, needs) => {
    expect(find(jobs(plain, trigger), 'deploy production')?.needs).toEqual(needs);
  });

  it('that is a commit elsewhere builds the image that the change names', () => {
    const list = jobs(SHOP, deploy('elsewhere'));
    expect(keys(list)).toEqual(['test', 'image', 'deploy elsewhere']);
    expect(workOf(list, 'elsewhere')).toMatchObject({
      rollout: [],
      gitops: { repository: 'acme/deploy', changes: [{ image: 'image' }] },
    });
    expect(find(list, 'deploy elsewhere')?.if).toContain("needs['image'].result == 'success'");
  });

  it('remembers who goes over the lock', () => {
    expect(workOf(jobs(SHOP, deploy('staging', { overLock: true })), 'staging').overLock).toBe(true);
    expect(workOf(jobs(SHOP, deploy('staging')), 'staging').overLock).toBeUndefined();
  });
});

describe('checks between steps', () => {
  const check = find(jobs(plain, tag('v1')), 'smoke (production, step 3)');

  it('are planned for each step, and hold nothing up', () => {
    const list = jobs(plain, tag('v1'));
    expect(keys(list)).toEqual(['test', 'image', 'smoke', 'deploy staging', 'deploy production', ...checks]);
    expect(list.flatMap((job) => job.needs)).not.toContain(checks[0]);
  });

  it('wait for their deployment alone, whatever the job says of itself', () => {
    expect(check).toMatchObject({
      id: 'smoke',
      needs: ['test'],
      if: null,
      skip: null,
      heldBy: 'deploy production',
      priority: 2,
      concurrency: null,
      work: { kind: 'script', environment: 'production', secrets: { named: { KEY: { name: 'KEY' } } } },
    });
    expect(find(jobs(plain, tag('v1')), 'smoke')?.skip).toBe('The condition `false` is false for this event.');
  });

  it('have what they need run by a /deploy, unless it is done', () => {
    const file = plain.replace('needs: test, build', 'build');
    const ran = (done: readonly string[]) => keys(jobs(file, deploy('production'), { done: new Set(done) }));
    expect(ran(['image'])).toEqual(['test', 'deploy production', ...checks]);
    expect(ran(['image', 'test'])).toEqual(['deploy production', ...checks]);
  });

  it.each([
    ['smoke: {', 'other: {', "doesn't have"],
    ['smoke: { image: x', 'smoke: { matrix: { a: [1, 2] }, image: x', 'runs several times'],
  ])('are refused where the commit has no such job: %s', (from, to, why) => {
    const compiled = compileFile('slipway.yml', plain);
    const own = compileFile(
      'slipway.yml',
      `${plain.replace(from, to).split('environments:')[0]}`.replace(', environment: production', ''),
    );
    if (compiled.kind !== 'pipeline' || own.kind !== 'pipeline') throw new Error(JSON.stringify(own));
    const mixed = { ...own.pipeline, environments: compiled.pipeline.environments };
    expect(plan(mixed, tag('v1'), repository, { message: '', done: new Set() })).toEqual({
      kind: 'refused',
      message: `The rollout to "production" is checked by the job "smoke", which the pipeline file of this commit ${why}.`,
    });
  });

  it('count as jobs of the plan', () => {
    const steps = Array.from({ length: 40 }, () => '      - { job: smoke }').join('\n');
    const many = Array.from(
      { length: 13 },
      (_, i) =>
        `  e${i}:\n    on: { tag: v* }\n    rollout: [{ deployment: shop/a${i}, container: api, image: image }]\n    steps:\n      - 10%\n${steps}\n`,
    );
    expect(planned(plain + many.join(''), tag('v1'))).toEqual({
      kind: 'refused',
      message: 'The pipeline makes 525 jobs; 500 is the most that is run. Make a matrix smaller.',
    });
  });

  it('keep their names', () => {
    const file = plain.replace('test: { image', 'test: { name: "smoke (production, step 3)", image');
    expect(keys(jobs(file, tag('v1')))).toContain('smoke (production, step 3) #2');
  });
});

describe('a promotion', () => {
  const promote = (images: Readonly<Record<string, string>>) =>
    deploy('production', { ...host, mode: 'promote', restore: { deployment: 'd1', images } });

  it('moves the digests, and runs nothing before', () => {
    const list = jobs(SHOP, promote({ image: digest('a') }));
    expect(keys(list)).toEqual(['deploy production', ...checks]);
    expect(find(list, 'deploy production')).toMatchObject({ needs: [], if: '!failure() && !cancelled()' });
    expect(workOf(list, 'production')).toMatchObject({
      mode: 'promote',
      images: { image: digest('a') },
      rules: { after: ['staging'], approvals: { count: 2 } },
      strategy: { kind: 'canary' },
    });
  });

  it.each([
    [{}, 'none at all'],
    [{ web: digest('a'), docs: digest('b') }, 'only web and docs'],
  ])('is refused without an image that the environment needs: %j', (images, has) => {
    expect(planned(SHOP, promote(images))).toEqual({
      kind: 'refused',
      message: `"production" needs the image of the job "image", and the deployment that is promoted has ${has}. Deploy the commit with /deploy production.`,
    });
  });
});

describe('a rollback', () => {
  const rollout = [
    { kind: 'deployment', cluster: null, namespace: 'shop', name: 'api', container: 'api', image: 'image' },
  ] as const;
  const trigger = deploy('Production', {
    mode: 'rollback',
    restore: { deployment: 'd1', images: { image: digest('a') }, rollout },
  });

  it('is one job, made of what was deployed then', () => {
    expect(rollbackPlan({ ...trigger, overLock: true }, null)).toEqual({
      concurrency: null,
      jobs: [
        expect.objectContaining({
          key: 'deploy Production',
          id: 'deploy:Production',
          needs: [],
          if: null,
          skip: null,
          timeoutMinutes: 10,
          retries: 0,
          priority: 2,
          concurrency: { group: environmentGroup('production'), cancelInProgress: false, queue: 'single' },
          work: {
            kind: 'deploy',
            environment: 'Production',
            url: null,
            rollout,
            mode: 'rollback',
            rules: noRules,
            stableSeconds: 5,
            atOnce: false,
            strategy: null,
            gitops: null,
            images: { image: digest('a') },
            restores: 'd1',
            overLock: true,
          },
        }),
      ],
    });
  });

  it('takes times, address and way from the deployment that it restores, and no steps', () => {
    const then = find(jobs(plain, tag('v1')), 'deploy production');
    expect(rollbackPlan(trigger, then ?? null).jobs[0]).toMatchObject({
      timeoutMinutes: 20,
      work: { stableSeconds: 30, atOnce: true, strategy: null, rules: noRules },
    });
    const elsewhere = find(jobs(SHOP, deploy('elsewhere')), 'deploy elsewhere');
    const restore = { deployment: 'd1', images: { image: digest('a') } };
    expect(rollbackPlan({ ...trigger, restore }, elsewhere ?? null).jobs[0]).toMatchObject({
      work: { rollout: [], gitops: { repository: 'acme/deploy' }, images: { image: digest('a') } },
    });
    expect(rollbackPlan(trigger, plannedOf('test')).jobs[0]?.work).toMatchObject({ stableSeconds: 5, url: null });
  });
});

describe('releases', () => {
  it('go to the environments that say so', () => {
    const compiled = compileFile('slipway.yml', SHOP);
    if (compiled.kind !== 'pipeline') throw new Error(JSON.stringify(compiled));
    expect(releaseEnvironments(compiled.pipeline.environments).map(({ name }) => name)).toEqual(['production']);
  });
});

describe('a pull request', () => {
  const PREVIEW = `${SHOP}
preview:
  manifests: deploy
  images: { ghcr.io/acme/shop: image }
  url: https://pr-\${{ event.number }}.example.com
  timeout: 5m
  keep: 12h
`;
  const compiled = compileFile('slipway.yml', PREVIEW);
  const spec = compiled.kind === 'pipeline' ? compiled.pipeline.preview : null;
  if (!spec) throw new Error('no preview');
  const preview = { kind: 'preview', spec } as const;
  const noEnvironments = SHOP.replace(/environments:[^]*/, '').replace(', environment: production', '');
  const tagsOf = (list: readonly PlannedJob[]) => list.flatMap(({ work }) => (work.kind === 'image' ? work.tags : []));

  it('says what a deployment would change', () => {
    const list = jobs(noEnvironments, pull(), { showsPlan: true });
    expect(keys(list)).toEqual(['test', 'image', 'smoke', 'deployment plan']);
    expect(list.at(-1)).toMatchObject({ needs: [], timeoutMinutes: 5, priority: 0, work: { kind: 'plan' } });
    expect(tagsOf(list)).toEqual([]);
  });

  it('gets its preview, and the image for it', () => {
    const list = jobs(noEnvironments, pull(), { preview });
    expect(keys(list)).toEqual(['test', 'image', 'smoke', 'preview']);
    expect(tagsOf(list)).toEqual([sha]);
    expect(list.at(-1)).toMatchObject({
      needs: ['image'],
      skip: null,
      timeoutMinutes: 5,
      concurrency: { group: environmentGroup('preview/pr-7'), cancelInProgress: false, queue: 'single' },
      work: {
        kind: 'preview',
        environment: 'preview/pr-7',
        number: 7,
        url: 'https://pr-7.example.com',
        manifests: ['deploy'],
        images: { 'ghcr.io/acme/shop': 'image' },
        keepMinutes: 720,
      },
    });
  });

  it('pushes no image that the preview does not have', () => {
    const file = noEnvironments.replace('  smoke:', '  other: { build: { image: ghcr.io/acme/other } }\n  smoke:');
    const list = jobs(file, pull(), { preview });
    expect(list.map(({ key, work }) => (work.kind === 'image' ? `${key} ${work.tags.length}` : key))).toEqual([
      'test',
      'image 1',
      'other 0',
      'smoke',
      'preview',
    ]);
  });

  it.each([
    [
      'image: {',
      'picture: {',
      'The preview has the image of the job "image", which the pipeline file of this commit doesn\'t build.',
    ],
    [
      'image: { needs: test',
      'image: { if: false, needs: test',
      'The job "image" doesn\'t build its image: The condition `false` is false for this event.',
    ],
    [
      'needs: test, build: { image: ghcr.io/acme/shop }',
      'image: x, run: y',
      'The preview has the image of the job "image", which the pipeline file of this commit doesn\'t build.',
    ],
  ])('has no preview without the image: %s', (from, to, skip) => {
    expect(jobs(noEnvironments.replace(from, to), pull(), { preview }).at(-1)?.skip).toBe(skip);
  });

  it('says why there is no preview', () => {
    expect(jobs(noEnvironments, pull(), { preview: { kind: 'skipped', reason: 'Not yet.' } }).at(-1)).toMatchObject({
      key: 'preview',
      skip: 'Not yet.',
    });
  });

  it.each<[string, Trigger, boolean | undefined]>([
    ['a fork', pull(true), undefined],
    ['a stranger', pull(false), true],
    ['a push', push('topic'), false],
  ])('of %s has neither', (_, trigger, strange) => {
    const list = jobs(noEnvironments, trigger, {
      preview,
      showsPlan: true,
      ...(strange === undefined ? {} : { strange }),
    });
    expect(keys(list)).toEqual(['test', 'image', 'smoke']);
    expect(tagsOf(list)).toEqual([]);
  });

  it('keeps the names of both', () => {
    const file = noEnvironments.replace('test: {', 'preview: { image: x, run: y }\n  test: {');
    expect(keys(jobs(file, pull(), { preview, showsPlan: true }))).toEqual([
      'preview #2',
      'test',
      'image',
      'smoke',
      'preview',
      'deployment plan',
    ]);
    expect(keys(jobs(file, pull()))).toContain('preview');
  });
});
