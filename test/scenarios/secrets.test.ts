import { describe, expect, it } from '@jest/globals';
import { fakeSecrets } from '#src/adapters/fake/secrets.ts';
import { BegunElsewhere } from '#src/engine/errors.ts';
import type { Policy, Secrets } from '#src/engine/ports.ts';
import { PlatformError, UserError } from '#src/model/outcome.ts';
import { outcomes, pullRequest, push, type ScenarioOptions, scenario, tag, trigger } from './world.ts';

const values = { npm_token: 'npm-7f3a9', deploy_key: 'BEGIN KEY\nabcdef\nEND KEY', otp: 'otp-1234', pin: '12' };

const pipeline = `
jobs:
  test: { image: node, run: test }
  publish:
    image: node
    secrets: { NPM_TOKEN: npm_token, KEY: { secret: deploy_key, file: true } }
    env: { HOOK: { sealed: "sealed:hook-value" } }
    run: [pack, { run: publish, secrets: { OTP: otp } }, tidy]
  image: { build: { image: registry.example/acme/shop, secrets: [npm_token] } }
`;

/** Strangers' commits run at once. */
const open: Partial<Policy> = { strangers: () => ({ approval: 'never', network: 'private' }) };
const stranger = pullRequest('a1', { fork: true, actor: 'eve' });

function world(file: string, more: Partial<ScenarioOptions> = {}) {
  return scenario({ commits: { a1: { 'slipway.yml': file } }, secrets: fakeSecrets(values), ...more });
}

/** Secrets that write down what they were asked for. */
function watched(secrets: Secrets = fakeSecrets(values)) {
  const asked: (readonly [environment: string | null, ...names: string[]])[] = [];
  const port: Secrets = {
    ...secrets,
    values(query, names) {
      asked.push([query.environment, ...names]);
      return secrets.values(query, names);
    },
  };
  return { port, asked };
}

describe('a job', () => {
  it('gets what it names, as variable or file, for itself or one step, and no other job does', async () => {
    const { port, asked } = watched();
    const s = await world(pipeline, { secrets: port });
    const view = await s.play(trigger(push('a1')));
    expect(view.run.outcome).toEqual({ kind: 'success' });
    const request = (key: string) => s.executor.requests.find((it) => it.key === key);
    expect(request('publish')?.given).toEqual([
      { variable: 'NPM_TOKEN', value: values.npm_token, file: false, steps: null },
      { variable: 'KEY', value: values.deploy_key, file: true, steps: null },
      { variable: 'HOOK', value: 'hook-value', file: false, steps: null },
      { variable: 'OTP', value: values.otp, file: false, steps: [1] },
    ]);
    expect(request('publish')?.secrets).toEqual([values.npm_token, values.deploy_key, 'hook-value', values.otp]);
    expect(request('test')).toMatchObject({ given: [], secrets: [] });
    expect(s.builder.requests).toMatchObject([{ given: { npm_token: values.npm_token }, secrets: [values.npm_token] }]);
    expect(asked).toHaveLength(2);
    expect(asked).toContainEqual([null, 'npm_token']);
    expect(asked).toContainEqual([null, 'npm_token', 'deploy_key', 'otp']);
    // Neither the plan nor anything else that is stored has a value.
    expect(JSON.stringify(view)).not.toMatch(/npm-7f3a9|otp-1234|abcdef/);
  });

  it('has the secrets of its environment where the event deploys there', async () => {
    const file = `
jobs:
  image: { build: { image: registry.example/acme/shop } }
  migrate: { image: node, run: migrate, environment: production, secrets: { URL: npm_token } }
environments:
  production:
    on: { tag: "v*" }
    stable: 0s
    rollout: [{ deployment: shop/api, container: api, image: image }]
`;
    const { port, asked } = watched();
    const s = await world(file, { secrets: port, refs: { 'refs/heads/main': 'a1' } });
    await s.play(trigger(tag('a1')));
    expect(asked.filter(([environment]) => environment !== null)[0]).toEqual(['production', 'npm_token']);
    asked.splice(0);
    await s.play(trigger(push('a1', 'topic')));
    expect(asked).toEqual([[null, 'npm_token']]);
  });

  it("that names a secret which isn't there fails before it starts, says so, and keeps no other from running", async () => {
    const file = `
jobs:
  test: { image: node, run: test }
  publish: { image: node, run: publish, secrets: [NPM_TOKN] }
  sealed: { image: node, run: publish, env: { T: { sealed: "sealed:" } } }
  image: { build: { image: registry.example/acme/shop, secrets: [NPM_TOKN] } }
`;
    const secrets: Secrets = {
      ...fakeSecrets(values),
      unseal: async () => {
        throw new UserError('It was sealed for another repository.');
      },
    };
    const s = await world(file.replace('"sealed:"', '"sealed:x"'), { secrets });
    const view = await s.play(trigger(push('a1')));
    expect(outcomes(view)).toEqual({
      test: 'success',
      publish: 'failure: There is no secret NPM_TOKN.',
      sealed: 'failure: The variable T: It was sealed for another repository.',
      image: 'failure: There is no secret NPM_TOKN.',
    });
    expect(s.executor.requests.map((it) => it.key)).toEqual(['test']);
    expect(s.builder.requests).toEqual([]);
    const publish = view.jobs.find((it) => it.plan.key === 'publish');
    expect(publish && (await s.logOf(publish))).toContain('Slipway: There is no secret NPM_TOKN.');
  });

  it("doesn't run while the secrets can't be read, which isn't its fault", async () => {
    const secrets: Secrets = {
      ...fakeSecrets(values),
      values: async () => {
        throw new PlatformError('The key of the secrets is missing.');
      },
    };
    const view = await (await world(pipeline, { secrets })).play(trigger(push('a1')));
    expect(outcomes(view)).toMatchObject({ publish: 'broken: The key of the secrets is missing.', test: 'success' });
  });

  it('is warned of a value that is too short to be masked', async () => {
    const s = await world('jobs: { a: { image: node, run: "echo 1234", secrets: { PIN: pin } } }');
    const view = await s.play(trigger(push('a1')));
    const log = view.jobs[0] ? await s.logOf(view.jobs[0]) : '';
    expect(log).toMatch(/^Slipway: the value of PIN has less than 4 characters/);
    expect(log).toContain('echo 1234');
  });
});

describe("a stranger's run", () => {
  it('has no secret, and its jobs say so first', async () => {
    const { port, asked } = watched();
    const s = await world(pipeline, { secrets: port, policy: open, script: () => 1 });
    const view = await s.play(trigger(stranger));
    expect(asked).toEqual([]);
    for (const request of s.executor.requests) expect(request).toMatchObject({ given: [], secrets: [] });
    expect(s.builder.requests).toMatchObject([{ given: {}, secrets: [], trusted: false }]);
    const logs = await Promise.all(view.jobs.map(async (job) => [job.plan.key, await s.logOf(job)] as const));
    expect(Object.fromEntries(logs.map(([key, log]) => [key, log.split('\n')[0]]))).toEqual({
      test: '$ test',
      publish:
        "Slipway: secrets withheld (a stranger's commit): npm_token (NPM_TOKEN), deploy_key (KEY), HOOK (sealed), otp (OTP)",
      image: "Slipway: secrets withheld (a stranger's commit): npm_token",
    });
  });

  it.each([
    ['privileged: true', 'privileged containers (`privileged: true`)'],
    ['network: host', "the host's network (`network: host`)"],
    ['devices: [/dev/kvm]', "the host's devices (`devices`)"],
    ['volumes: ["/:/host"]', "the host's folders (`volumes`)"],
    [
      'privileged: true, network: host',
      "privileged containers (`privileged: true`), the host's network (`network: host`)",
    ],
  ])('never gets %s, whatever the operator allows', async (key, named) => {
    const s = await world(`jobs: { a: { image: node, run: x, ${key} } }`, { policy: open });
    const reason = `failure: A stranger's commit may not have ${named}. It can run after the merge, if the operator's file allows it.`;
    expect(outcomes(await s.play(trigger(stranger)))['a']).toContain(reason);
    expect(s.executor.requests).toEqual([]);
    expect(outcomes(await s.play(trigger(push('a1'))))).toEqual({ a: 'success' });
  });

  it('has no network where the operator says so, and then no services', async () => {
    const policy: Partial<Policy> = { strangers: () => ({ approval: 'never', network: 'none' }) };
    const file = `
jobs:
  a: { image: node, run: x }
  b: { image: node, run: x, services: { db: postgres } }
  c: { build: {} }
`;
    const s = await world(file, { policy });
    const view = await s.play(trigger(stranger));
    expect(outcomes(view)).toMatchObject({ a: 'success', b: expect.stringContaining('failure: The job has services') });
    const note = "Slipway: this job has no network (a stranger's commit; the operator's file says so).";
    const logs = await Promise.all(view.jobs.map(async (job) => [job.plan.key, await s.logOf(job)] as const));
    expect(logs.filter(([, log]) => log.includes(note)).map(([key]) => key)).toEqual(['a', 'c']);
    expect(s.executor.requests.map((it) => it.access.network)).toEqual(['none']);
    expect(s.builder.requests.map((it) => it.network)).toEqual(['none']);
    await s.play(trigger(push('a1')));
    expect(s.executor.requests.map((it) => it.access.network)).toEqual(['none', 'private', 'private']);
    expect(s.builder.requests.map((it) => it.network)).toEqual(['none', undefined]);
  });

  it('pushes nothing by its own engine, and borrows no credentials', async () => {
    const s = await world('jobs: { a: { image: node, run: x, docker: true } }', { policy: open });
    await s.play(trigger(stranger));
    await s.play(trigger(push('a1')));
    const [strange, own] = s.executor.requests.map((it) => it.docker);
    expect([strange?.refusePush('ghcr.io/acme/shop'), strange?.mayUse('ghcr.io')]).toEqual([
      "A stranger's commit pushes no images.",
      false,
    ]);
    expect([own?.refusePush('ghcr.io/acme/shop'), own?.mayUse('ghcr.io')]).toEqual([null, true]);
  });
});

describe('the operator’s word', () => {
  it('is asked before a job starts', async () => {
    const policy: Partial<Policy> = {
      refuseAccess: (_, { privileged }) => (privileged ? 'acme/shop may not have privileged containers.' : null),
      refuseDocker: () => 'acme/shop may not use Docker.',
      refusePush: () => 'Not to that registry.',
      lendsRegistry: (_, registry) => registry === 'ghcr.io',
      runtime: () => 'runsc',
    };
    const file = `
jobs:
  a: { image: node, run: x, privileged: true }
  b: { image: node, run: x, docker: true }
  c: { image: node, run: x }
  d: { image: node, run: x, devices: [/dev/kvm] }
`;
    const s = await world(file, { policy });
    expect(outcomes(await s.play(trigger(push('a1'))))).toEqual({
      a: 'failure: acme/shop may not have privileged containers.',
      b: 'failure: acme/shop may not use Docker.',
      c: 'success',
      d: 'success',
    });
    expect(s.executor.requests.map((it) => `${it.key} ${it.runtime}`).toSorted()).toEqual(['c runsc', 'd runsc']);
    expect(s.executor.requests.map((it) => it.docker)).toEqual([null, null]);
    expect(s.executor.requests.find((it) => it.key === 'd')?.access.devices).toEqual(['/dev/kvm']);
    const other = await world(file, { policy: { ...policy, refuseDocker: () => null } });
    await other.play(trigger(push('a1')));
    const engine = other.executor.requests.find((it) => it.key === 'b')?.docker;
    expect([engine?.refusePush('x/y'), engine?.mayUse('ghcr.io'), engine?.mayUse('docker.io')]).toEqual([
      'Not to that registry.',
      true,
      false,
    ]);
  });
});

describe('what a job leaves', () => {
  const file =
    'jobs: { a: { image: node, run: test, secrets: { T: npm_token, K: deploy_key }, reports: { junit: "r" } } }';

  it('shows no value: neither its log, nor annotations, nor tests', async () => {
    const s = await world(file, {
      script: (_script, step) => {
        step.write(
          `src/a.ts:1:2 - error TS1: Bad token npm-7f3a9 here\n${Buffer.from('u:npm-7f3a9').toString('base64')}\n`,
        );
        step.files.set(
          'r',
          `<testsuite><testcase name="login with npm-7f3a9" classname="c" file="src/b-npm-7f3a9.ts" line="3"><failure message="got &#110;pm-7f3a9">${'x'.repeat(90)}
            npm&#45;7f3a9 and abcdef</failure></testcase></testsuite>`,
        );
        return 1;
      },
    });
    const view = await s.play(trigger(push('a1')));
    const [job] = view.jobs;
    expect(job?.tests?.failures).toEqual(['c › login with ***']);
    expect(job?.annotations.map((it) => it.path).toSorted()).toEqual(['src/a.ts', 'src/b-***.ts']);
    expect(JSON.stringify(view)).toContain('***');
    expect(JSON.stringify(view)).not.toMatch(/7f3a9|abcdef/);
    expect(job && (await s.logOf(job))).not.toMatch(/7f3a9|dTpucG0/);
  });

  it('is masked in the log of a job that gets something of it, and has no secret itself', async () => {
    const s = await world(
      `
jobs:
  a: { image: node, run: make, secrets: [npm_token], artifacts: f }
  b: { image: node, run: use, needs: a }
`,
      {
        script: (script, step) => {
          if (script === 'make') step.files.set('f', values.npm_token);
          else step.write(step.files.get('f') ?? '');
          return 0;
        },
      },
    );
    const view = await s.play(trigger(push('a1')));
    expect(view.jobs[1] && (await s.logOf(view.jobs[1]))).toBe('$ use\n***');
    expect(s.executor.requests[1]?.given).toEqual([]);
  });

  it.each([
    ['the user', () => new UserError('There is no image x/npm-7f3a9.')],
    ['the platform', () => new PlatformError('The engine says: npm-7f3a9.')],
    ['Slipway', () => new Error('npm-7f3a9 is undefined')],
  ])('is an error of %s without it', async (_, fail) => {
    const s = await world(file, {
      script: () => {
        throw fail();
      },
    });
    const view = await s.play(trigger(push('a1')));
    expect(outcomes(view)['a']).toMatch(/\*\*\*/);
    expect(JSON.stringify(view)).not.toContain('7f3a9');
    expect(view.jobs[0] && (await s.logOf(view.jobs[0]))).not.toContain('7f3a9');
  });

  it('is masked in what is told of a deployment', async () => {
    const s = await world(
      `
jobs:
  image: { build: { image: registry.example/acme/shop, secrets: [npm_token] } }
environments:
  production:
    on: { branch: main }
    stable: 0s
    rollout: [{ deployment: shop/api, container: npm-7f3a9, image: image }]
`,
      {
        cluster: {
          workloads: [{ name: 'shop/api', image: 'old', containers: ['api'] }],
          behave: () => [],
          sleep: async () => {},
        },
      },
    );
    const view = await s.play(trigger(push('a1')));
    const deploy = view.jobs.find((it) => it.plan.work.kind === 'deploy');
    expect(deploy?.outcome?.kind).toBe('failure');
    expect(JSON.stringify([deploy?.outcome, deploy?.progress, deploy && (await s.logOf(deploy))])).not.toContain(
      '7f3a9',
    );
    const [record] = await s.store.deployments.list(view.run.repository.id, 'production', 1);
    expect(record?.description).toContain('***');
  });
});

describe('a job that another process began', () => {
  /** The job's secret is `first` when it begins, and `then` says what there is when it is followed on. */
  async function followed(then: (names: readonly string[]) => ReadonlyMap<string, string>, former: readonly string[]) {
    let begun = false;
    const secrets: Secrets = {
      ...fakeSecrets(),
      values: async (_query, names) => (begun ? then(names) : new Map(names.map((name) => [name, 'first-value']))),
      former: async () => (begun ? former : []),
    };
    const s = await world('jobs: { a: { image: node, run: test, secrets: [T] } }', {
      secrets,
      script: (_script, { request }) => {
        begun = true;
        s.executor.left.set(request.jobId, {
          begun: 0,
          script: (_again, step) => {
            step.write('first-value then second-value\n');
            return 0;
          },
        });
        throw new BegunElsewhere();
      },
    });
    const view = await s.play(trigger(push('a1')));
    return { ends: outcomes(view)['a'], log: view.jobs[0] ? await s.logOf(view.jobs[0]) : '' };
  }

  it('is masked as before, and a value that was replaced meanwhile too', async () => {
    const { ends, log } = await followed(() => new Map([['T', 'second-value']]), ['first-value']);
    expect([ends, log]).toEqual(['success', '$ test\n*** then ***\n']);
  });

  it('is masked also if the secret was removed or limited meanwhile', async () => {
    const gone = () => {
      throw new UserError('There is no secret T.');
    };
    const { ends, log } = await followed(gone, ['first-value']);
    expect([ends, log]).toEqual(['success', '$ test\n*** then second-value\n']);
  });

  it('is not shown if nobody knows the value any more', async () => {
    const { ends, log } = await followed(() => {
      throw new UserError('There is no secret T.');
    }, []);
    expect(ends).toContain("broken: The job can't be followed on: the secret for T is gone");
    expect(log).not.toContain('first-value');
  });
});
