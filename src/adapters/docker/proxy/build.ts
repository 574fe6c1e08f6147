import type { JobFacts, Matched, Order } from './contract.ts';
import type { Context } from './context.ts';
import { networkMode } from './endpoint.ts';
import { newName, optional, privateTag } from './images.ts';
import { parseJson } from './json.ts';
import { clientReference, fullName } from './reference.ts';
import { misread, noNetwork, quoted, refuse } from './refusal.ts';
import { pathOf, requestOf } from './request.ts';
import { checkedUlimits, limitsOf } from './resources.ts';
import { labels, list, mapOf, object, text, texts, textIn } from './shape.ts';

const HEADERS = ['x-registry-config'];
const BUILD_ID = /^[A-Za-z0-9_-]{1,128}$/;
const UPLOAD = 'upload-request:';

/** POST /build: classic (a tar stream) or BuildKit (version=2, with a session). Its query is rebuilt key by key. */
export function buildImage(matched: Matched, context: Context): Order {
  const { job } = context;
  const get = (name: string) => matched.query.get(name)?.[0] ?? '';
  if (job.network === null) {
    refuse(`${noNetwork(job)} So it can't build images: the engine itself would fetch what a Dockerfile names.`);
  }
  const buildKit = version(get('version'));
  if (buildKit) checkBuildKit(job);
  const query = new Map<string, readonly string[]>();
  const set = (name: string, value: string) => {
    if (value !== '') query.set(name, [value]);
  };
  set('version', buildKit ? '2' : '1');
  const tags = (matched.query.get('t') ?? []).filter((tag) => tag !== '').map((tag) => privateTag(tag, context));
  const { repo, tag } = newName('', '', context);
  query.set('t', tags.length > 0 ? tags : [`${repo}:${tag}`]);
  set('remote', remote(get('remote'), buildKit));
  set('session', get('session'));
  set('buildid', buildId(get('buildid'), job));
  set('dockerfile', get('dockerfile'));
  set('target', get('target'));
  set('platform', get('platform'));
  set('networkmode', network(get('networkmode'), buildKit, context));
  set('outputs', outputs(get('outputs'), buildKit));
  set('buildargs', buildArgs(get('buildargs'), buildKit, job));
  set('labels', get('labels') === '' ? '' : JSON.stringify(labels(parseJson(get('labels')), 'labels')));
  // The classic builder takes layers of all jobs for cache unless it is told whose: an argument that isn't in the key
  // (http_proxy), or a network, may have made them other than they look.
  const cache = [...(buildKit ? [] : (query.get('t') ?? [])), ...cacheFrom(get('cachefrom'), buildKit, context)];
  set('cachefrom', cache.length === 0 ? '' : JSON.stringify(cache));
  const hosts = (matched.query.get('extrahosts') ?? []).filter((host) => host !== '');
  const odd = hosts.find((host) => !/^[A-Za-z0-9_.-]{1,253}[:=](?:host-gateway|[0-9a-fA-F.:[\]]{2,47})$/.test(host));
  if (odd !== undefined) misread(`The parameter extrahosts may not be ${quoted(odd)}.`);
  // BuildKit's layers have the hosts in their key: so those of other repositories, and of strangers, are never taken.
  const key = buildKit ? [`slipway-${job.cacheNamespace}:127.0.0.1`] : [];
  if (hosts.length + key.length > 0) query.set('extrahosts', [...hosts, ...key]);
  for (const name of ['q', 'nocache']) for (const [key, value] of optional(matched, name)) query.set(key, value);
  set('pull', job.trusted && ['', '0', 'false', 'no', 'none'].includes(get('pull').toLowerCase()) ? '' : '1');
  // Containers of a build's steps have no label, and none may stay.
  set('rm', '1');
  set('forcerm', '1');
  forbid(get('squash') === '1', 'squash is an experiment of the engine: use a multi-stage build.');
  forbid(get('cgroupparent') !== '', "cgroupparent is the server's choice: it holds the limits.");
  forbid(
    (matched.query.get('securityopt') ?? []).some((option) => !['', 'null', '[]'].includes(option)),
    "securityopt: the engine's own profiles stay on.",
  );
  forbid(!['', 'default'].includes(get('isolation')), 'isolation is for Windows.');
  limits(get, set, job);
  return requestOf(matched, pathOf(matched, '/build', query), { headers: HEADERS, effect: { do: 'build' } });
}

/** Also of its session. */
export function checkBuildKit(job: JobFacts): void {
  if (job.trusted) return;
  refuse(
    "a run of somebody without write permission builds without BuildKit, whose steps the job's limits don't hold: set " +
      'DOCKER_BUILDKIT=0, which such jobs have set.',
  );
}

export function cancelBuild(matched: Matched, context: Context): Order {
  const id = buildId(matched.query.get('id')?.[0] ?? '', context.job);
  if (id === '') misread('Say which build is to be cancelled.');
  return requestOf(matched, pathOf(matched, '/build/cancel', new Map([['id', [id]]])));
}

function forbid(asked: boolean, message: string): void {
  if (asked) refuse(message);
}

function version(text: string): boolean {
  if (!['', '1', '2'].includes(text)) misread(`There is no builder ${quoted(text)}.`);
  return text === '2';
}

function remote(text: string, buildKit: boolean): string {
  if (text === '' || (buildKit && (text === 'client-session' || text === 'upload-request'))) return text;
  return refuse(
    `the engine doesn't fetch ${quoted(text)} for a build: it would reach what the job can't. Fetch it in the job ` +
      '(git clone, curl), and build from there.',
  );
}

/** Builds of all jobs share one list of ids. */
function buildId(text: string, job: JobFacts): string {
  if (text === '') return '';
  const upload = text.startsWith(UPLOAD);
  const id = upload ? text.slice(UPLOAD.length) : text;
  if (!BUILD_ID.test(id)) misread(`${quoted(text)} is not the id of a build.`);
  return `${upload ? UPLOAD : ''}${job.namePrefix}${id}`;
}

function network(mode: string, buildKit: boolean, context: Context): string {
  if (!buildKit) return networkMode(mode, 'networkmode', context);
  if (mode === '' || mode === 'default' || mode === 'bridge') return '';
  if (mode === 'none') return 'none';
  return refuse(`networkmode ${quoted(mode)}: BuildKit knows default and none; host would be the network of the host.`);
}

/** Results that go to the client by the session, or nowhere. */
function outputs(given: string, buildKit: boolean): string {
  if (given === '') return '';
  const result = list(parseJson(given), 'outputs').map((item) => {
    const given = object(item, 'outputs', { Type: text, Attrs: (value, at) => mapOf(value, at, text) });
    const Type = textIn(given, 'Type');
    const attrs = Object.keys(given['Attrs'] ?? {}).filter((name) => name !== 'dest' && name !== 'platform-split');
    if (!['tar', 'local', 'cacheonly'].includes(Type) || attrs.length > 0) {
      refuse(
        `the output ${quoted(Type)}: tar and local are possible; name an image with -t, push it with docker push.`,
      );
    }
    return { Type, Attrs: {} };
  });
  if (result.length === 0) return '';
  if (!buildKit) refuse('outputs need BuildKit.');
  return JSON.stringify(result);
}

/** Cache mounts of all builds on the engine lie side by side: this keeps them apart. */
function buildArgs(given: string, buildKit: boolean, job: JobFacts): string {
  const args =
    given === '' ? {} : mapOf(parseJson(given), 'buildargs', (value, at) => (value === null ? null : text(value, at)));
  if (buildKit) args['BUILDKIT_CACHE_MOUNT_NS'] = job.cacheNamespace;
  return Object.keys(args).length === 0 ? '' : JSON.stringify(args);
}

/** Own images by their private names; BuildKit may ask the registry for the rest. */
function cacheFrom(given: string, buildKit: boolean, context: Context): readonly string[] {
  if (given === '') return [];
  return texts(parseJson(given), 'cachefrom').flatMap((name) => {
    if (name === '') return [];
    const full = fullName(clientReference(name, context.job));
    const thing = context.maybe('image', name);
    if (thing?.name.startsWith(`${context.job.imagePrefix}/`)) return [thing.name];
    if (!thing && !buildKit) return [];
    const why = context.job.refuseImage(full);
    return why === null ? [full] : [];
  });
}

function limits(get: (name: string) => string, set: (name: string, value: string) => void, job: JobFacts): void {
  const number = (name: string) => Number(get(name) || '0');
  const limited = limitsOf(
    {
      // A build weighs more than a container, and there is one at a time.
      Memory: number('memory') > 0 ? number('memory') : Math.floor(job.limits.memory / 2),
      CpuQuota: number('cpuquota'),
      CpuPeriod: number('cpuperiod'),
      CpuShares: number('cpushares'),
    },
    job,
    true,
  );
  set('memory', String(limited['Memory']));
  set('memswap', String(limited['MemorySwap']));
  if (typeof limited['NanoCpus'] === 'number') {
    set('cpuperiod', '100000');
    set('cpuquota', String(Math.max(1000, Math.round(limited['NanoCpus'] / 10_000))));
  }
  set('cpushares', String(limited['CpuShares']));
  for (const name of ['cpusetcpus', 'cpusetmems']) {
    if (!/^[0-9,-]*$/.test(get(name))) misread(`The parameter ${name} may not be ${quoted(get(name))}.`);
    set(name, get(name));
  }
  const shm = number('shmsize');
  if (shm > 0) set('shmsize', String(Math.min(shm, job.limits.memory)));
  const ulimits = get('ulimits') === '' ? null : parseJson(get('ulimits'));
  if (ulimits !== null) set('ulimits', JSON.stringify(checkedUlimits(ulimits)));
}
