import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Outcome } from '#src/model/outcome.ts';
import type { Repository } from '#src/model/repository.ts';
import { pullRequest, push, repositoryNamed } from '#test/contracts/store-fixtures.ts';
import { openSite, type Site } from './site.ts';

let site: Site;
beforeEach(async () => {
  site = await openSite();
});
afterEach(async () => {
  await site[Symbol.asyncDispose]();
});

const open: Repository = { ...repositoryNamed('Acme/Shop.js', 12), private: false };
let commits = 0;

async function run(repository: Repository, branch: string, outcome: Outcome | null): Promise<void> {
  commits += 1;
  const trigger = push(`${commits}`.padStart(40, '0'), branch);
  const made = await site.store.runs.create({ repository, trigger, pullRequest: null, at: commits });
  if (outcome) await site.store.runs.finish(made.run.id, outcome, [], commits);
}

async function badge(path: string): Promise<string> {
  const response = await fetch(`${site.url}/badge/${path}`);
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe('image/svg+xml; charset=utf-8');
  expect(response.headers.get('cache-control')).toBe('no-cache');
  return /aria-label="build: (\w+)"/.exec(await response.text())?.[1] ?? 'not a badge';
}

describe('a badge', () => {
  it.each<[Outcome | null, string]>([
    [{ kind: 'success' }, 'passing'],
    [{ kind: 'failure', reason: 'x' }, 'failing'],
    [{ kind: 'timed_out', reason: 'x' }, 'failing'],
    [{ kind: 'cancelled', reason: 'x' }, 'cancelled'],
    [{ kind: 'broken', reason: 'x' }, 'error'],
    [{ kind: 'neutral', reason: 'x' }, 'unknown'],
    [null, 'running'],
  ])('of a run that ended as %j says %s', async (outcome, text) => {
    await run(open, 'main', outcome);
    expect(await badge('acme/shop.js.svg')).toBe(text);
  });

  it('is of the default branch, or of the branch that is asked for', async () => {
    await run(open, 'main', { kind: 'success' });
    await run(open, 'feature/größe', { kind: 'failure', reason: 'x' });
    expect(await badge('Acme/Shop.js.svg')).toBe('passing');
    expect(await badge(`Acme/Shop.js.svg?branch=${encodeURIComponent('feature/größe')}`)).toBe('failing');
    expect(await badge('Acme/Shop.js.svg?branch=feature/gr%C3%B6%C3%9Fe')).toBe('failing');
    expect(await badge('Acme/Shop.js.svg?branch=nowhere')).toBe('unknown');
  });

  it("isn't moved by a fork's branch of the same name", async () => {
    await run(open, 'main', { kind: 'success' });
    const trigger = pullRequest('f'.repeat(40), 3, 'main', true);
    await site.store.runs.create({ repository: open, trigger, pullRequest: 3, at: 9 });
    expect(await badge('acme/shop.js.svg')).toBe('passing');
  });

  it('of a private repository needs its signature, and else looks like that of an unknown one', async () => {
    const secret = repositoryNamed('acme/secret', 13);
    await run(secret, 'main', { kind: 'success' });
    const get = async (path: string) => {
      const response = await fetch(`${site.url}/badge/${path}`);
      const headers = [...response.headers].filter(([name]) => name !== 'date');
      return { status: response.status, headers, text: await response.text() };
    };
    expect(await get('acme/secret.svg')).toEqual(await get('acme/nothing.svg'));
    expect(await get('acme/secret.svg?s=wrong')).toEqual(await get('acme/nothing.svg?s=wrong'));
    const signed = site.links.badge(secret, 'main').replace(`${site.url}/badge/`, '');
    expect(await badge(signed)).toBe('passing');
    const other = new URL(site.links.badge(repositoryNamed('acme/other', 14), null)).searchParams.get('s');
    expect(await badge(`acme/secret.svg?s=${other}`)).toBe('unknown');
  });

  it("isn't sent again as long as it says the same", async () => {
    await run(open, 'main', { kind: 'success' });
    const url = `${site.url}/badge/acme/shop.js.svg`;
    const etag = (await fetch(url)).headers.get('etag') ?? '';
    const again = () => fetch(url, { headers: { 'If-None-Match': etag, 'Cache-Control': 'max-age=0' } });
    expect((await again()).status).toBe(304);
    await run(open, 'main', { kind: 'failure', reason: 'x' });
    expect((await again()).status).toBe(200);
  });
});
