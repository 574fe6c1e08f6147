import { describe, expect, it } from '@jest/globals';
import { compileFile } from '#src/dialects/index.ts';
import { environmentGroup } from '#src/model/concurrency.ts';
import { noRules } from '#src/model/deploy-rules.ts';
import type { Trigger } from '#src/model/event.ts';
import type { DeployWork, PlannedJob } from '#src/model/plan.ts';
import { plan } from '#src/planner/plan.ts';
import { releaseEnvironments } from '#src/planner/deploy.ts';
import { rollbackPlan } from '#src/planner/rollback.ts';
import { plannedOf, repository } from '#test/model/samples.ts';
import { deploy, digest, find, jobs, keys, planned, push, SHOP, tag } from './planning.ts';

const host = { params: { host: 'shop.example.com' } };
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
