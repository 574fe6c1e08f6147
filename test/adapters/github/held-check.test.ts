import { describe, expect, it } from '@jest/globals';
import { runCheckOf, settledRunCheck } from '#src/adapters/github/report/run-check.ts';
import { runButtons } from '#src/model/button.ts';
import type { Run } from '#src/model/run.ts';
import type { Trust } from '#src/model/trust.ts';
import { useNock } from '#test/nock.ts';
import { holding, reporters, states, success, tell } from './reporter-support.ts';
import { smallGitHub } from './small-github.ts';
import { ended, memoryTold, running, sha, view } from './support.ts';

const nock = useNock();
const { reporter } = reporters();

const extras = { detailsUrl: 'https://ci.example/', externalId: 'run:run1' };
const needed: Trust = {
  trusted: false,
  reason: '@eve has no write permission on acme/shop (GitHub reports "read").',
  approval: 'needed',
  approvedBy: null,
  remarks: ["slipway.yml, which decides what runs, isn't the same as on main."],
};
const given: Trust = { ...needed, approval: 'given', approvedBy: 'ada' };
const trigger: Run['trigger'] = {
  kind: 'pull_request',
  number: 3,
  sha,
  ref: 'refs/pull/3/head',
  branch: 'evil',
  base: 'main',
  fork: true,
  actor: 'eve',
  author: { login: 'eve', bot: false },
  title: 'A change',
};
const held = { state: 'pending', trigger, pullRequest: 3, trust: needed, startedAt: null } as const;

describe('the check run of a run that waits for approval', () => {
  const shown = runCheckOf(view([], held), extras);

  it('is completed, so that GitHub shows its button, and satisfies nothing', () => {
    expect(shown).toMatchObject({
      name: 'slipway',
      externalId: 'run:run1',
      status: 'completed',
      conclusion: 'action_required',
      title: 'Waits for approval: @\u200Beve has no write permission on acme/shop (GitHub reports "read").',
      annotations: [],
    });
    expect(shown?.actions).toEqual([
      { identifier: 'approve', label: 'Approve run', description: 'Runs this very commit without secrets' },
    ]);
    for (const { label, description, identifier } of shown?.actions ?? []) {
      expect([label.length <= 20, description.length <= 40, identifier.length <= 20]).toEqual([true, true, true]);
    }
  });

  it('says why, what is changed, how to approve, and what the run will not get', () => {
    expect(shown?.summary).toContain('**Nothing of this commit has run.**');
    expect(shown?.summary).toContain("- ⚠️ slipway.yml, which decides what runs, isn't the same as on main.");
    expect(shown?.summary).toContain(`\n/ok-to-test ${sha}\n`);
    expect(shown?.summary).toContain(`https://github.com/acme/shop/pull/3/files/${sha}`);
    expect(shown?.summary).toContain('gets no secrets, pushes no images and deploys nothing');
  });

  it('stays within the limits, and is no Markdown of the stranger', () => {
    const file = '`]($(x))<img src=x> @acme/all \n# Approved `'.repeat(40);
    const remarks = Array.from({ length: 2_000 }, () => `${file} isn't on main.`);
    const { summary = '', title = '' } = runCheckOf(view([], { ...held, trust: { ...needed, remarks } }), extras) ?? {};
    expect(Buffer.byteLength(summary)).toBeLessThanOrEqual(65_535);
    expect(title.length).toBeLessThanOrEqual(255);
    expect(summary).toContain('and 1980 more');
    expect(summary).not.toMatch(/^# Approved/m);
    expect(summary).not.toMatch(/<img|[^\\]\]\(\$|@acme/);
    expect(summary).toContain(`/ok-to-test ${sha}`);
  });

  it('wins over what it waited for before', () => {
    expect(runCheckOf(view([], { ...held, note: 'GitHub was down.' }), extras)?.conclusion).toBe('action_required');
  });

  it('has no button once its end was asked for', () => {
    const cancel = { reason: 'A newer commit was pushed.', by: 'slipway' as const };
    expect(runButtons(view([], { ...held, cancel }).run)).toEqual([]);
  });
});

it.each(['success', 'neutral', 'skipped'] as const)('is never %s as long as nobody approved it', (passing) => {
  for (const cancel of [null, { reason: 'Cancelled by @ada.', by: 'person' as const }]) {
    for (const note of [null, 'GitHub was down.']) {
      const shown = runCheckOf(view([], { ...held, cancel, note }), extras);
      expect(shown?.conclusion).not.toBe(passing);
    }
  }
  const outcome = { kind: 'cancelled', reason: 'A newer commit was pushed.' } as const;
  const over = runCheckOf(view([], { ...held, state: 'completed', outcome }), extras);
  expect(over).toMatchObject({ conclusion: 'cancelled', actions: [] });
});

it('is queued once it is approved, and then says by whom', () => {
  expect(runCheckOf(view([], { ...held, trust: given }), extras)).toMatchObject({
    status: 'queued',
    conclusion: null,
    title: 'Queued: Approved by @\u200Bada.',
    actions: [],
  });
  const planned = view([running('test')], { trigger, pullRequest: 3, trust: given });
  expect(runCheckOf(planned, extras)).toBeNull();
  expect(settledRunCheck(planned, extras)).toMatchObject({
    conclusion: 'success',
    summary: 'Approved by @\u200Bada. What runs is shown by the other check runs.',
    actions: [],
  });
});

it('points out a changed pipeline file after the approval, as a remark', () => {
  const diagnostic = {
    severity: 'warning',
    code: 'changed-by-stranger',
    message: needed.remarks[0] ?? '',
    at: { file: 'slipway.yml', line: 1, column: 1 },
  } as const;
  const shown = runCheckOf(view([running('test')], { trigger, trust: given, diagnostics: [diagnostic] }), extras);
  expect(shown?.annotations).toMatchObject([
    { path: 'slipway.yml', start_line: 1, annotation_level: 'warning', title: 'changed-by-stranger' },
  ]);
});

it('is one check run on GitHub, from the waiting to the end', async () => {
  const hub = smallGitHub(nock);
  const store = holding(view([], held));
  const it = await reporter(store, memoryTold());
  await tell(it);
  expect(states(hub.checks)).toEqual([['slipway', 'completed', 'action_required']]);
  expect(hub.bodies.at(-1)).toMatchObject({ external_id: 'run:run1', actions: [{ identifier: 'approve' }] });
  store.view = view([], { ...held, trust: given });
  await tell(it);
  expect(hub.bodies.at(-1)).toMatchObject({ status: 'queued', actions: [] });
  store.view = view([running('test')], { trigger, pullRequest: 3, trust: given });
  await tell(it);
  store.view = view([ended('test', success)], { trigger, pullRequest: 3, trust: given });
  await tell(it);
  expect(states(hub.checks)).toEqual([
    ['slipway', 'completed', 'success'],
    ['test', 'completed', 'success'],
  ]);
  expect(hub.checks[0]).toMatchObject({ name: 'slipway', actions: [] });
});

it('is told at once that it was approved, whatever was told a moment before', async () => {
  const hub = smallGitHub(nock);
  const store = holding(view([], held));
  const it = await reporter(store, memoryTold(), 3_600_000);
  it.report('run1');
  await it.flush(20_000);
  store.view = view([], { ...held, trust: given });
  it.report('run1');
  const deadline = Date.now() + 10_000;
  while (hub.checks[0]?.status !== 'queued' && Date.now() < deadline) await new Promise((r) => setTimeout(r, 5));
  expect(hub.checks[0]?.status).toBe('queued');
});
