import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, test } from '@jest/globals';
import * as fc from 'fast-check';
import '#test/seeded.ts';
import { visibleImage } from '#src/adapters/docker/proxy/rules.ts';
import { familiar, fullName, parseReference, plainName, privateName } from '#src/adapters/docker/proxy/reference.ts';
import { readOperator } from '#src/operator.ts';
import { ask, id, JOB, NONCE, queryOf, refusalOf, sent } from './world.ts';

const P = JOB.imagePrefix;

describe('names, as Docker reads them', () => {
  test.each([
    ['alpine', 'docker.io/library/alpine:latest', 'alpine:latest'],
    ['alpine:3', 'docker.io/library/alpine:3', 'alpine:3'],
    ['docker.io/alpine', 'docker.io/library/alpine:latest', 'alpine:latest'],
    ['docker.io/library/alpine', 'docker.io/library/alpine:latest', 'alpine:latest'],
    ['index.docker.io/u/x', 'docker.io/u/x:latest', 'u/x:latest'],
    ['u/x', 'docker.io/u/x:latest', 'u/x:latest'],
    ['a/b/c', 'docker.io/a/b/c:latest', 'a/b/c:latest'],
    ['localhost/x', 'localhost/x:latest', 'localhost/x:latest'],
    ['localhost:5000/x:1', 'localhost:5000/x:1', 'localhost:5000/x:1'],
    ['GHCR.io/acme/app:V1', 'ghcr.io/acme/app:V1', 'ghcr.io/acme/app:V1'],
    ['10.0.0.1:80/x', '10.0.0.1:80/x:latest', '10.0.0.1:80/x:latest'],
    [`alpine@sha256:${id('a')}`, `docker.io/library/alpine@sha256:${id('a')}`, `alpine@sha256:${id('a')}`],
    [`alpine:3@sha256:${id('a')}`, `docker.io/library/alpine@sha256:${id('a')}`, `alpine@sha256:${id('a')}`],
    ['deadbeef', 'docker.io/library/deadbeef:latest', 'deadbeef:latest'],
  ])('%s', (text, full, short) => {
    const reference = parseReference(text);
    expect(reference && fullName(reference)).toBe(full);
    expect(reference && familiar(reference)).toBe(short);
  });
  test.each([
    '',
    'Alpine',
    'a//b',
    '/a',
    'a/',
    '-a',
    'a:',
    'a:-x',
    'a@',
    'a@sha256:1',
    'a b',
    'a?b',
    'a/../b',
    '..',
    'a:b:c',
    'a@sha512:1',
    '[::1]/x',
    'a\n',
    'x'.repeat(600),
    `a@sha256:${id('a')}@sha256:${id('a')}`,
    'http://a/b',
    'a%2fb',
    '\u00fc',
  ])('not a name: %p', (text) => {
    expect(parseReference(text)).toBeNull();
  });
  it('a private name goes there and back', () => {
    const part = fc.stringMatching(/^[a-z0-9]{1,8}(?:[._-][a-z0-9]{1,4})?$/);
    const name = fc.tuple(
      fc.option(fc.constantFrom('ghcr.io', 'localhost:5000', 'a.b:80', 'localhost')),
      fc.array(part, { minLength: 1, maxLength: 3 }),
      part,
    );
    fc.assert(
      fc.property(name, ([host, path, tag]) => {
        const reference = parseReference(`${host === null ? '' : `${host}/`}${path.join('/')}:${tag}`);
        if (!reference) return;
        const engine = privateName(reference, JOB);
        // The engine reads it as a name below the prefix, whatever was asked for.
        expect(parseReference(engine)).toMatchObject({ host: 'slipway.local' });
        expect(engine.startsWith(`${P}/`)).toBe(true);
        expect(plainName(engine, JOB)).toBe(familiar(reference));
      }),
      { numRuns: 3000 },
    );
  });
  it('no text makes a name out of the prefix', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc
            .array(
              fc.constantFrom('slipway.local', '/', '..', 'secretofjob17', 'secretofjob18', 'app', ':', '@', '5000', P),
              { maxLength: 8 },
            )
            .map((parts) => parts.join('')),
        ),
        (text) => {
          const { order } = ask('POST', `/images/app/tag?repo=${encodeURIComponent(text)}`);
          const repo = order.kind === 'request' ? queryOf(order).get('repo') : `${P}/refused`;
          expect(repo).toMatch(/^slipway\.local\/secretofjob17\/[a-z0-9]/);
        },
      ),
      { numRuns: 5000 },
    );
  });
});

describe('tag, push, pull, remove', () => {
  it('tags privately', () => {
    expect(sent('POST', '/images/alpine/tag?repo=mine&tag=2').path).toBe(
      `/images/sha256:${id('a')}/tag?repo=slipway.local%2Fsecretofjob17%2Fmine&tag=2`,
    );
    expect(queryOf(sent('POST', '/images/app/tag?repo=localhost:5000/x')).get('repo')).toBe(`${P}/localhost__5000/x`);
    expect(refusalOf('POST', '/images/app/tag?repo=slipway.local/secretofjob18/x')).toMatch(/keeps for itself/);
    expect(refusalOf('POST', `/images/app/tag?repo=x&tag=sha256:${id('a')}`)).toMatch(/^400/);
    expect(refusalOf('POST', '/images/app/tag?repo=x&tag=..')).toMatch(/^400/);
  });
  it('pushes its own image under the real name where the operator lets it', () => {
    expect(sent('POST', '/v1.41/images/ghcr.io/acme/app/push?tag=v1')).toMatchObject({
      path: '/v1.41/images/ghcr.io/acme/app/push?tag=v1',
      headers: ['x-registry-auth'],
      effect: { do: 'push', from: `${P}/ghcr.io/acme/app:v1`, repo: 'ghcr.io/acme/app', tag: 'v1' },
    });
    expect(refusalOf('POST', '/images/ghcr.io/other/app/push?tag=v1')).toMatch(
      /^403 acme\/app may not push to ghcr.io\/other\/app\.$/,
    );
    expect(refusalOf('POST', '/images/alpine/push?tag=latest')).toMatch(/may not push to docker.io\/library\/alpine/);
    expect(refusalOf('POST', '/images/ghcr.io/acme/nothing/push?tag=v1')).toBe(
      '404 No such image: ghcr.io/acme/nothing:v1',
    );
  });
  it("asks the operator's file for the repository of the image, whatever the tag", () => {
    const folder = mkdtempSync(join(tmpdir(), 'slipway-push-'));
    const file = join(folder, 'operator.yml');
    writeFileSync(file, 'repositories: { acme/shop: { push: ["ghcr.io/acme/app", "registry.test:5000/ci/*"] } }');
    const { policy } = readOperator(file, null);
    rmSync(folder, { recursive: true });
    const shop = { id: 1, owner: 'acme', name: 'shop', defaultBranch: 'main', private: true, cloneUrl: '' };
    const repository = { ...shop, installationId: 1 };
    const job = { ...JOB, refusePush: (image: string) => policy.refusePush(repository, image) };
    expect(sent('POST', '/images/ghcr.io/acme/app/push?tag=v1', '', job).effect).toMatchObject({ tag: 'v1' });
    // As far as the rule goes it is allowed; there is just no such image.
    expect(refusalOf('POST', '/images/registry.test:5000/ci/x/push?tag=v1', '', job)).toMatch(/^404/);
    for (const name of [
      'ghcr.io/acme/apple',
      'ghcr.io/acme/ap',
      'ghcr.io/acme/app/x',
      'acme/app',
      'registry.test/ci/x',
      'registry.test:5001/ci/x',
      'registry.test:5000/ci/x/y',
    ]) {
      expect(refusalOf('POST', `/images/${name}/push?tag=v1`, '', job)).toMatch(/^403 acme\/shop may not push to /);
    }
  });
  it('pushes no shared image', () => {
    const all = { ...JOB, refusePush: () => null };
    expect(refusalOf('POST', '/images/alpine/push?tag=latest', '', all)).toMatch(/was not made by this job/);
  });
  it("pulls one tag, with the client's credentials, if the operator has nothing against it", () => {
    expect(sent('POST', '/images/create?fromImage=alpine')).toMatchObject({
      path: '/images/create?fromImage=docker.io%2Flibrary%2Falpine&tag=latest',
      headers: ['x-registry-auth'],
      effect: { do: 'pulled', reference: 'alpine:latest' },
    });
    expect(queryOf(sent('POST', `/images/create?fromImage=alpine&tag=sha256:${id('a')}`)).get('tag')).toBe(
      `sha256:${id('a')}`,
    );
    expect(refusalOf('POST', '/images/create?fromImage=private.example/x&tag=1')).toMatch(/belongs to the operator/);
    expect(queryOf(sent('POST', `/images/create?fromImage=${P}/x`)).get('fromImage')).toBe('docker.io/library/x');
    expect(refusalOf('POST', '/images/create?fromImage=slipway.local/secretofjob18/x')).toMatch(/keeps for itself/);
    for (const query of ['fromSrc=-&repo=alpine', 'fromSrc=http://10.0.0.1/x.tar', 'fromImage=alpine&fromSrc=-', '']) {
      expect(refusalOf('POST', `/images/create?${query}`)).toMatch(/can't be imported/);
    }
  });
  it('removes names of its own; a shared image stays, as if it were gone', () => {
    expect(sent('DELETE', '/images/app').path).toBe(`/images/${P}/app:latest`);
    expect(ask('DELETE', '/images/alpine?force=1').order).toEqual({
      kind: 'answer',
      status: 200,
      json: [{ Untagged: 'alpine' }],
    });
    expect(ask('DELETE', `/images/sha256:${id('a')}?force=1`).order).toMatchObject({ kind: 'answer' });
    expect(sent('DELETE', `/images/${'b'.repeat(12)}`).path).toBe(`/images/${P}/app:latest`);
    expect(ask('DELETE', `/images/${'d'.repeat(12)}`).order).toMatchObject({ kind: 'refusal', status: 409 });
    expect(sent('DELETE', `/images/${'d'.repeat(12)}?force=1`)).toMatchObject({
      path: `/images/${P}/ghcr.io/acme/app:v1?force=1`,
      effect: { do: 'untag', also: [`/images/${P}/two:1?force=1`] },
    });
  });
  it('uses what the operator keeps for himself neither by name nor by id', () => {
    for (const [method, url] of [
      ['GET', '/images/private.example/x/json'],
      ['GET', '/images/private.example/x/get'],
      ['GET', '/images/get?names=alpine&names=private.example/x'],
      ['GET', `/images/${'c'.repeat(12)}/history`],
      ['POST', `/images/sha256:${id('c')}/tag?repo=mine`],
      ['GET', '/distribution/private.example/x/json'],
    ] as const) {
      expect(refusalOf(method, url)).toMatch(/belongs to the operator/);
    }
  });
  it('commits own containers to private names', () => {
    const request = sent('POST', '/commit?container=db&repo=snap&tag=1&changes=CMD%20x', { Env: ['A=1'] });
    expect(Object.fromEntries(queryOf(request))).toEqual({
      container: id('1'),
      repo: `${P}/snap`,
      tag: '1',
      changes: 'CMD x',
    });
    expect(queryOf(sent('POST', '/commit?container=db')).get('tag')).toBe(NONCE);
    expect(refusalOf('POST', '/commit?container=other&repo=x')).toMatch(/^404/);
    expect(refusalOf('POST', '/commit?container=db&changes=LABEL%20slipway.job=1')).toMatch(/slipway/);
    expect(refusalOf('POST', '/commit?container=db', { HostConfig: { Privileged: true } })).toMatch(/not known here/);
  });
});

describe('which images are seen', () => {
  test.each([
    ['own', { RepoTags: [`${P}/app:latest`] }, true],
    ['shared', { RepoTags: ['alpine:latest'], RepoDigests: [] }, true],
    ['shared by digest', { RepoTags: [], RepoDigests: [`alpine@sha256:${id('a')}`] }, true],
    ['own and of another', { RepoTags: ['slipway.local/secretofjob18/x:1', `${P}/x:1`] }, true],
    ['of another', { RepoTags: ['slipway.local/secretofjob18/x:1'] }, false],
    ['of a prefix that ours begins', { RepoTags: [`${P}x/app:latest`] }, false],
    ['without a name', { RepoTags: [], RepoDigests: null }, false],
    ['<none>', { RepoTags: ['<none>:<none>'], RepoDigests: ['<none>@<none>'] }, false],
    ['no answer', null, false],
  ])('%s', (_, inspect, seen) => {
    expect(visibleImage(inspect, JOB)).toBe(seen);
  });
});
