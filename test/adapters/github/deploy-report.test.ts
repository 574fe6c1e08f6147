import { describe, expect, it } from '@jest/globals';
import { plannedOf } from '#test/model/samples.ts';
import { work, plan, preview, digest, record, show, approval, waits, runs, command } from './deploy-samples.ts';
import { ended, job, running } from './support.ts';

/** What GitHub shows of a deployment beside where it stands. */

describe('an approval', () => {
  it('says who has given it, who may, and how; its buttons are shown', () => {
    const { check } = show(waits(approval), { pullRequest: 7 });
    expect(check.summary).toContain('**Waits for approval: 1 of 2 given.** 1 more is needed.');
    expect(check.summary).toContain('Approved so far by @\u200Bcarol.');
    expect(check.summary).toContain('people with maintain permission, @\u200Bcarol or the team acme/sre');
    expect(check.summary).toContain('neither who asked for it nor who made the change');
    expect(check.summary).toContain('\n/approve production\n');
    expect(check.actions.map(({ label }) => label)).toEqual(['Approve', 'Reject']);
  });

  it('leaves it to the engine to say who may, if it does', () => {
    const { check } = show(waits(approval, 'Waits for @dan.'), { pullRequest: 7 });
    expect(check.summary).toContain('Waits for @\u200Bdan.');
    expect(check.summary).not.toContain('May approve');
  });

  it('speaks of no pull request where there is none', () => {
    const { check } = show(waits(approval));
    expect(check.summary).not.toContain('pull request');
    expect(check.summary).toContain('Press **Approve** above');
  });
});

describe('what is deployed', () => {
  const images = { 'shop/api/server': digest };

  it('is no table of what is there as long as it has not begun', () => {
    const now = { 'shop/api/server': digest.replace('0123', 'aaaa') };
    const deployed = { record: null, images, now, approvals: [] };
    const wanted = show(waits(approval), {}, deployed).check.summary;
    expect(wanted).toContain('| Workload | Now | Would get |');
    expect(wanted).toMatch(/shop\/api\/server \| `ghcr\.io\/acme\/shop@sha256:aaaa\w+` \| `\S+:0123\w+` \|/);
    const unknown = show(waits(approval), {}, { record: null, images, approvals: [] }).check.summary;
    expect(unknown).toMatch(/shop\/api\/server \| – \| `\S+:0123\w+` \|/);
    // What runs changes after its end, and nobody tells it again.
    const rejected = ended('d', { kind: 'cancelled', reason: 'Rejected by @bob.' }, { plan });
    const over = show(rejected, {}, deployed).check.summary;
    expect(over).toContain('| Workload | Would have got |');
    expect(over).not.toMatch(/After|Now|sha256:aaaa/);
  });

  it('stands on the check run: environment, commit, by whom, images, times', () => {
    const said = { jobId: 'd', attempt: 1, at: 1, decision: 'approve' } as const;
    const approvals = [
      { ...said, gate: 'start', login: 'carol' },
      { ...said, gate: 'step 2', login: '@dan' },
      { ...said, gate: 'step 2', login: 'eve', decision: 'reject' as const },
    ];
    const changes = [
      {
        workload: 'shop/api',
        container: 'server',
        before: digest.replace('0123', 'aaaa'),
        after: digest,
        said: '3 of 3',
      },
    ];
    const { check } = show(
      ended('d', { kind: 'success' }, { plan }),
      { trigger: command },
      { record: record({ changes }), images, approvals },
    );
    expect(check.summary).toContain('| Environment | [production](https://shop.example) |');
    expect(check.summary).toContain('| Commit | `aaaaaaa` Add a basket |');
    expect(check.summary).toContain('| Asked for by | bob, by a button |');
    expect(check.summary).toContain('| Approved by | carol, @\u200Bdan \\(step 2\\) |');
    expect(check.summary).toContain('began 2026-01-01 12:00 UTC, ended 2026-01-01 12:01 UTC');
    expect(check.summary).toContain(
      '| shop/api \\(server\\) | `ghcr.io/acme/shop@sha256:aaaa456789ab` | `ghcr.io/acme/shop@sha256:0123456789ab` | 3 of 3 |',
    );
  });

  it('shows the report of the rollout in place of our table, and of a plan', () => {
    const report = '### Steps\n\n| | |\n|---|---|\n| 10% | done |\n\nby @ada';
    const { check } = show({ ...runs(null), report }, {}, { record: null, images, approvals: [] });
    expect(check.summary).toContain('| 10% | done |');
    expect(check.summary).toContain('by @\u200Bada');
    expect(check.summary).not.toContain('| Workload |');
    const planned = ended(
      'p',
      { kind: 'neutral', reason: '2 environments would change' },
      {
        plan: plannedOf('deployment plan', { work: { kind: 'plan' } }),
        report: '## production\n\nWould get `1a2b3c4`.',
      },
    );
    const shown = show(planned);
    expect(shown.check).toMatchObject({ conclusion: 'neutral', title: '2 environments would change' });
    expect(shown.check.summary).toContain('Would get `1a2b3c4`.');
    expect(shown.deployment).toBeNull();
    const looking = running('p', { plan: plannedOf('deployment plan', { work: { kind: 'plan' } }) });
    expect(show(looking).check.title).toBe('Looking at what would change');
  });

  it('a report that is too long ends with its code block closed', () => {
    const report = `\`\`\`\`text\n${'a line of a log\n```\n'.repeat(5_000)}`;
    const { check } = show({ ...runs(null), report });
    expect(Buffer.byteLength(check.summary)).toBeLessThan(65_535);
    expect(check.summary).toContain("\n````\n\n… The rest is on the job's page.");
    expect(check.summary).toContain('[Live log](https://ci.example/j)');
  });

  it('is told to other programs with the deployment', () => {
    const { deployment } = show(job('d', { plan }), { trigger: command }, { record: null, images, approvals: [] });
    expect(deployment).toMatchObject({
      environment: 'production',
      production: true,
      transient: false,
      description: 'Add a basket',
      payload: { run: 'run1', job: 'd', attempt: 1, mode: 'deploy', images, params: { colour: 'blue' } },
    });
  });

  it.each([
    ['rollback', 'Roll back: Add a basket', '| Kind | Rollback:'],
    ['promote', 'Promote: Add a basket', '| Kind | Promotion:'],
  ] as const)('a %s says so', (mode, description, row) => {
    const it = job('d', { plan: plannedOf('deploy production', { work: { ...work, mode } }) });
    const { check, deployment } = show(it);
    expect(deployment).toMatchObject({ description, payload: { mode } });
    expect(check.summary).toContain(row);
  });

  it('a preview is transient, and where it is, is known once it is there', () => {
    const planned = plannedOf('preview', { work: preview });
    const there = { record: record({ details: { url: 'https://pr-7.other.example/(x)' } }), images: {}, approvals: [] };
    const { check, deployment } = show(ended('p', { kind: 'success' }, { plan: planned }), { pullRequest: 7 }, there);
    expect(check.title).toBe('Deployed to preview/pr-7 in 1 m 12 s');
    expect(check.summary).toContain('[preview/pr-7](https://pr-7.other.example/%28x%29)');
    expect(deployment).toMatchObject({
      environment: 'preview/pr-7',
      production: false,
      transient: true,
      payload: { mode: 'preview' },
      status: { state: 'success', environmentUrl: 'https://pr-7.other.example/(x)' },
    });
  });

  it.each(['javascript:alert(1)', 'shop.example', 'https://', 'file:///etc/passwd'])('%s is no address', (url) => {
    const { check, deployment } = show(job('d', { plan: plannedOf('d', { work: { ...work, url } }) }));
    expect(deployment?.status.environmentUrl).toBeNull();
    expect(check.summary).toContain('| Environment | production |');
  });
});

it('stays harmless and within the limits whatever people wrote', () => {
  const evil = '`]($(x))<img src=x> @acme/all | | \n# Done '.repeat(50);
  const it = waits({ ...approval, given: Array.from({ length: 500 }, () => evil) }, evil);
  const trigger = { ...command, actor: evil, title: evil, params: { [evil]: evil } };
  const images = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`${evil}${i}`, evil]));
  const { check, deployment } = show(it, { trigger }, { record: null, images, approvals: [] });
  expect(Buffer.byteLength(check.summary)).toBeLessThanOrEqual(65_535);
  expect(check.summary).not.toMatch(/<img|^# Done|[^\\]\]\(\$|@acme/m);
  expect(check.title.length).toBeLessThanOrEqual(255);
  expect(deployment?.status.description.length).toBeLessThanOrEqual(140);
  expect(JSON.stringify(deployment?.payload).length).toBeLessThan(40_000);
});
