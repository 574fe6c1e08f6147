import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Store } from '#src/engine/store.ts';
import type { Trigger } from '#src/model/event.ts';
import { recordsContract } from './store-records.ts';
import { environmentsContract } from './store-environments.ts';
import { groupsContract } from './store-groups.ts';
import { jobsContract } from './store-jobs.ts';
import { queueContract } from './store-queue.ts';
import { secretsContract } from './store-secrets.ts';
import { toldContract } from './store-told.ts';
import { deploy, planned, pullRequest, push, repositoryNamed, shop } from './store-fixtures.ts';

/** Opens the store under test. `reopen` closes it and opens what it kept again. */
export interface StoreUnderTest {
  readonly store: Store;
  reopen(): Promise<Store>;
  /** Closes the store and removes everything. */
  dispose(): Promise<void>;
}

/** What every Store must do. */
export function storeContract(name: string, make: () => Promise<StoreUnderTest>): void {
  describe(`${name} as a store`, () => {
    let test: StoreUnderTest;
    beforeEach(async () => {
      test = await make();
    });
    afterEach(async () => {
      await test.dispose();
    });
    const current = () => test.store;
    deliveriesContract(current, () => test.reopen());
    runsContract(current, () => test.reopen());
    jobsContract(current);
    queueContract(current);
    groupsContract(current);
    environmentsContract(current, () => test.reopen());
    toldContract(current);
    recordsContract(current);
    secretsContract(current, () => test.reopen());

    it('answers a ping until it is closed', async () => {
      await test.store.ping();
      await test.store.close();
      await expect(test.store.ping()).rejects.toThrow('database');
    });
  });
}

function deliveriesContract(current: () => Store, reopen: () => Promise<Store>): void {
  const delivery = (guid: string, body = Buffer.from([0, 255, 123, 0xc3, 0xa9])) => ({
    guid,
    event: 'push',
    body,
    receivedAt: 1000,
  });

  it('keeps a delivery once, however often it comes, and its body byte for byte', async () => {
    const { deliveries } = current();
    const added = await Promise.all(['a', 'a', 'b', 'a'].map((guid) => deliveries.add(delivery(guid))));
    expect(added).toEqual([true, false, true, false]);
    expect(await deliveries.add(delivery('a', Buffer.from('other')))).toBe(false);
    const pending = await deliveries.pending(10);
    expect(pending.map((d) => d.guid)).toEqual(['a', 'b']);
    expect(pending[0]).toEqual(delivery('a'));
    expect(Buffer.isBuffer(pending[0]?.body)).toBe(true);
  });

  it('gives pending deliveries in the order they came, a page at a time, until they are finished', async () => {
    const { deliveries } = current();
    const guids = Array.from({ length: 25 }, (_, i) => `guid-${(i * 7) % 25}`);
    for (const guid of guids.slice(0, 5)) await deliveries.add(delivery(guid));
    await Promise.all(guids.slice(5).map((guid) => deliveries.add(delivery(guid))));
    expect((await deliveries.pending(10)).map((d) => d.guid)).toEqual(guids.slice(0, 10));
    for (const guid of guids.slice(0, 10)) await deliveries.finish(guid, 'Started a run.', 2000);
    expect((await deliveries.pending(100)).map((d) => d.guid)).toEqual(guids.slice(10));
  });

  it('tells what came of a delivery, also after a restart', async () => {
    const { deliveries } = current();
    await deliveries.add(delivery('a'));
    expect(await deliveries.get('a')).toEqual({ event: 'push', receivedAt: 1000, finishedAt: null, result: null });
    await deliveries.finish('a', 'Run 42 – fertig', 2000);
    const again = await reopen();
    expect(await again.deliveries.get('a')).toEqual({
      event: 'push',
      receivedAt: 1000,
      finishedAt: 2000,
      result: 'Run 42 – fertig',
    });
    expect(await again.deliveries.get('unknown')).toBeNull();
    expect(await again.deliveries.add(delivery('a'))).toBe(false);
  });
}

function runsContract(current: () => Store, reopen: () => Promise<Store>): void {
  const create = (trigger: Trigger, repository = shop, number: number | null = null) =>
    current().runs.create({ repository, trigger, pullRequest: number, at: 1000 });

  it('makes one run of a push and the pull request from that branch, whichever comes first', async () => {
    const first = await create(push('a'.repeat(40), 'topic'));
    const second = await create(pullRequest('a'.repeat(40), 7, 'topic'));
    expect([first.created, second.created]).toEqual([true, false]);
    expect(second.run).toEqual(first.run);
    expect(first.run).toMatchObject({ repository: shop, state: 'pending', outcome: null, createdAt: 1000 });
    expect(first.run.trigger.title).toBe('Größe prüfen 🚢');
  });

  it('keeps apart other commits, branches, repositories, forks and requests', async () => {
    const sha = 'a'.repeat(40);
    const made = [
      await create(push(sha)),
      await create(push('b'.repeat(40))),
      await create(push(sha, 'other')),
      await create(push(sha), repositoryNamed('acme/other', shop.id + 1)),
      await create(pullRequest(sha, 8, 'main', true)),
      await create(deploy(sha, '1')),
      await create(deploy(sha, '2')),
    ];
    expect(made.map((m) => m.created)).toEqual(made.map(() => true));
    expect(new Set(made.map((m) => m.run.id)).size).toBe(made.length);
  });

  it('makes one run when the same head is created many times at once', async () => {
    const made = await Promise.all(Array.from({ length: 20 }, () => create(push('c'.repeat(40)))));
    expect(made.filter((m) => m.created)).toHaveLength(1);
    expect(new Set(made.map((m) => m.run.id)).size).toBe(1);
  });

  it('lists newest first, a page at a time, by repository and branch', async () => {
    const ids: string[] = [];
    for (let i = 0; i < 5; i += 1) ids.unshift((await create(push(`${i}`.repeat(40)))).run.id);
    const other = await create(push('0'.repeat(40), 'a/b'), shop);
    await create(push('0'.repeat(40)), repositoryNamed('acme/else', 5));
    const { runs } = current();
    const list = async (filter: Parameters<typeof runs.list>[0]) => (await runs.list(filter)).map((run) => run.id);
    expect(await list({ repository: 'acme/shop', branch: 'main', limit: 10 })).toEqual(ids);
    expect(await list({ repository: 'ACME/shop', limit: 2 })).toEqual([other.run.id, ids[0]]);
    expect(await list({ repository: 'acme/shop', before: ids[1] ?? '', limit: 2 })).toEqual([ids[2], ids[3]]);
    expect(await list({ repository: 'acme/shop', branch: 'a/b', limit: 10 })).toEqual([other.run.id]);
    expect(await runs.list({ limit: 100 })).toHaveLength(7);
  });

  it('finds the newest run of a commit, a branch and a pull request', async () => {
    const sha = 'a'.repeat(40);
    const { runs } = current();
    const pushed = await create(push(sha));
    const tag = await create({ kind: 'tag', tag: 'v1', sha, ref: 'refs/tags/v1', actor: 'ada', title: 'x' });
    const fork = await create(pullRequest('f'.repeat(40), 9, 'main', true), shop, 9);
    const onBranch = await create(pullRequest('b'.repeat(40), 7, 'topic'), shop, 7);
    const deployed = await create(deploy(sha, '1'), shop, 9);

    expect((await runs.ofCommit(shop.id, sha)).map((run) => run.id)).toEqual([
      deployed.run.id,
      tag.run.id,
      pushed.run.id,
    ]);
    expect(await runs.ofCommit(shop.id + 1, sha)).toEqual([]);
    expect((await runs.ofBranch('acme/SHOP', 'main'))?.trigger.kind).toBe('push');
    expect((await runs.ofBranch('acme/shop', 'topic'))?.id).toBe(onBranch.run.id);
    expect(await runs.ofBranch('acme/shop', 'nowhere')).toBeNull();
    expect((await runs.ofPullRequest(shop.id, 9))?.id).toBe(fork.run.id);
    expect(await runs.ofPullRequest(shop.id, 10)).toBeNull();
    await runs.setPullRequest(tag.run.id, 10);
    expect((await runs.ofPullRequest(shop.id, 10))?.id).toBe(tag.run.id);
  });

  it('remembers when a commit was pushed again, and forgets nothing else of it', async () => {
    const { runs } = current();
    const { run } = await create({ ...push('a'.repeat(40)), at: 1_000 });
    await runs.pushedAgain(run.id, 3_000);
    await runs.pushedAgain(run.id, 2_000);
    expect((await runs.get(run.id))?.trigger).toEqual({ ...run.trigger, at: 3_000 });
  });

  it('plans a run once', async () => {
    const { runs } = current();
    const { run } = await create(push('a'.repeat(40)));
    const diagnostics = [
      {
        severity: 'warning',
        code: 'x',
        message: 'Überflüssig',
        at: { file: 'slipway.yml', line: 1, column: 2 },
      } as const,
    ];
    const plan = {
      jobs: [planned('lint'), planned('test')],
      diagnostics,
      concurrency: null,
      pipelineFile: 'slipway.yml',
      at: 2000,
    };
    await Promise.all([runs.plan(run.id, plan), runs.plan(run.id, { ...plan, jobs: [planned('other')] })]);
    const view = await runs.view(run.id);
    expect(view?.run).toMatchObject({ state: 'running', pipelineFile: 'slipway.yml', diagnostics, startedAt: 2000 });
    expect(view?.jobs.map((job) => [job.plan.key, job.state, job.attempt])).toEqual([
      ['lint', 'waiting', 1],
      ['test', 'waiting', 1],
    ]);
    expect(view?.jobs[0]?.plan).toEqual(planned('lint'));
  });

  it('finishes a run, with its jobs or without any, and keeps the remarks of the plan', async () => {
    const { runs } = current();
    const bare = await create(push('a'.repeat(40)));
    const error = { severity: 'error', code: 'e', message: 'm', at: { file: 'f', line: 1, column: 1 } } as const;
    await runs.finish(bare.run.id, { kind: 'failure', reason: 'The file has mistakes.' }, [error], 3000);
    const { run } = await create(push('b'.repeat(40)));
    await runs.plan(run.id, { jobs: [], diagnostics: [error], concurrency: null, pipelineFile: 'f', at: 2000 });
    expect(await runs.unfinished()).toEqual([run.id]);
    await runs.finish(run.id, { kind: 'success' }, [], 3000);
    expect(await runs.unfinished()).toEqual([]);

    const again = (await reopen()).runs;
    expect(await again.get(bare.run.id)).toMatchObject({
      state: 'completed',
      outcome: { kind: 'failure', reason: 'The file has mistakes.' },
      diagnostics: [error],
      finishedAt: 3000,
    });
    expect(await again.get(run.id)).toMatchObject({ startedAt: 2000, finishedAt: 3000, diagnostics: [error] });
    expect(await again.get('unknown')).toBeNull();
    expect(await again.view('unknown')).toBeNull();
  });

  it('names unfinished runs oldest first', async () => {
    const ids: string[] = [];
    for (let i = 0; i < 30; i += 1) ids.push((await create(push('a'.repeat(40), `b${i}`))).run.id);
    expect(await current().runs.unfinished()).toEqual(ids);
    expect([...ids].sort()).toEqual(ids);
  });
}
