import { WORKSPACE } from '#src/model/workspace.ts';
import type { JobFacts, Matched } from './contract.ts';
import { matchesName, matchesReference, readFilters, type Filters } from './filters.ts';
import { isNameless, isOwn, isPrivate, plainName } from './reference.ts';

type Json = Readonly<Record<string, unknown>>;

/** Deeper than any answer of the engine. */
const DEPTH = 40;
/** What a client may learn of the engine. */
const INFO = [
  'ServerVersion',
  'OSType',
  'Architecture',
  'KernelVersion',
  'Driver',
  'LoggingDriver',
  'CgroupDriver',
  'CgroupVersion',
  'MemoryLimit',
  'SwapLimit',
  'CpuCfsPeriod',
  'CpuCfsQuota',
  'CPUShares',
  'CPUSet',
  'PidsLimit',
  'OomKillDisable',
  'IPv4Forwarding',
  'SecurityOptions',
  'DefaultRuntime',
  'ExperimentalBuild',
  'Isolation',
  'IndexServerAddress',
];

/** The engine's answer as the job may see it: its own things alone, under the names that it gave them. */
export function answerOf(matched: Matched, json: unknown, job: JobFacts, pulled: readonly string[]): unknown {
  switch (matched.endpoint) {
    case 'SystemInfo':
      return info(record(json), job);
    case 'ContainerList':
      return containers(items(json), filtersOf(matched), matched, job);
    case 'ContainerInspect':
      return container(record(json), job);
    case 'NetworkList':
      return items(json)
        .filter((one) => isOwnNetwork(one, job))
        .map((one) => network(one, job))
        .filter((one) => named(filtersOf(matched), String(one['Name'])));
    case 'NetworkInspect':
      return network(record(json), job);
    case 'VolumeList':
      return {
        Warnings: null,
        Volumes: items(record(json)['Volumes'])
          .filter((one) => hasLabels(one['Labels'], job))
          .map((one) => volume(one, job))
          .filter((one) => named(filtersOf(matched), String(one['Name']))),
      };
    case 'VolumeInspect':
    case 'VolumeCreate':
      return volume(record(json), job);
    case 'ImageList':
      return images(items(json), filtersOf(matched), job, pulled);
    case 'ImageInspect':
      return image(record(json), job);
    case 'ImageHistory':
      return items(json).map((one) => plain({ ...one, Tags: tags(one['Tags'], job) }, job));
    default:
      return plain(json, job);
  }
}

/** One record of the event stream, null: not the job's. Or of a container's statistics. */
export function eventOf(json: unknown, job: JobFacts): unknown {
  const event = record(json);
  if (!('Type' in event)) return 'read' in event ? plain(event, job) : null;
  const actor = record(event['Actor']);
  const attributes = record(actor['Attributes']);
  const name = typeof attributes['name'] === 'string' ? attributes['name'] : '';
  const id = typeof actor['ID'] === 'string' ? actor['ID'] : '';
  const own = {
    container: name.startsWith(job.namePrefix) && hasLabels(attributes, job),
    network: name.startsWith(job.namePrefix),
    volume: id.startsWith(job.namePrefix),
    image: isOwn(id, job) || isOwn(name, job),
  }[String(event['Type'])];
  return own === true ? plain(event, job) : null;
}

/** Text with the client's names for the engine's. */
function plainText(text: string, job: JobFacts): string {
  if (job.network !== null && text === job.network) return 'bridge';
  let result = plainName(text, job).replaceAll(job.namePrefix, '');
  if (job.workspaceSource !== null) result = result.replaceAll(job.workspaceSource, WORKSPACE);
  if (job.socketSource !== null) result = result.replaceAll(job.socketSource, '/var/run/docker.sock');
  return result;
}

/** As `plainText`, for a sentence. */
export function plainMessage(text: string, job: JobFacts): string {
  const result = plainText(text.slice(0, 16_384), job);
  return job.network === null ? result : result.replaceAll(job.network, 'bridge');
}

/** Whether the job may know and use the image: its own, or one with a name that isn't another job's. */
export function visible(inspect: unknown, job: JobFacts): boolean {
  const { RepoTags, RepoDigests } = record(inspect);
  const names = texts(RepoTags);
  if (names.some((name) => isOwn(name, job))) return true;
  return [...names, ...texts(RepoDigests)].some((name) => !isPrivate(name, job) && !name.startsWith('<none>'));
}

/** Every text and name in it by `plainText`, without Slipway's labels. */
function plain<T>(json: T, job: JobFacts, depth = 0): T {
  if (typeof json === 'string') return plainText(json, job) as T;
  if (typeof json !== 'object' || json === null) return json;
  if (depth > DEPTH) return null as T;
  if (Array.isArray(json)) return json.map((one: unknown) => plain(one, job, depth + 1)) as T;
  const kept = Object.entries(json).filter(([name]) => !name.startsWith('slipway.') && name !== '__proto__');
  return Object.fromEntries(
    kept.map(([name, value]) => [plainText(name, job), plain(value as unknown, job, depth + 1)]),
  ) as T;
}

function info(json: Json, job: JobFacts): Json {
  const kept = Object.fromEntries(INFO.flatMap((name) => (name in json ? [[name, json[name]]] : [])));
  return {
    ID: 'slipway',
    Name: 'slipway',
    Containers: 0,
    ContainersRunning: 0,
    ContainersPaused: 0,
    ContainersStopped: 0,
    Images: 0,
    ...kept,
    OperatingSystem: 'Docker in a Slipway job',
    NCPU: job.limits.cpus === null ? (json['NCPU'] ?? 1) : Math.max(1, Math.ceil(job.limits.cpus)),
    MemTotal: job.limits.memory,
    Swarm: { LocalNodeState: 'inactive' },
    Plugins: {
      Volume: ['local'],
      Network: ['bridge', 'none'],
      Authorization: null,
      Log: ['json-file', 'local', 'none'],
    },
    RegistryConfig: { InsecureRegistryCIDRs: [], IndexConfigs: {}, Mirrors: [] },
    Labels: [],
    Warnings: null,
  };
}

function containers(list: readonly Json[], filters: Filters, matched: Matched, job: JobFacts): Json[] {
  const limit = Number(matched.query.get('limit')?.[0] ?? '0');
  const own = list.filter(
    (one) => hasLabels(one['Labels'], job) && texts(one['Names']).some((name) => name.startsWith(`/${job.namePrefix}`)),
  );
  const shown = own
    .map((one): Json => plain({ ...one, Mounts: mounts(one['Mounts'], job) }, job))
    .filter((one) => texts(one['Names']).some((name) => named(filters, name.replace(/^\//, ''))));
  return limit > 0 ? shown.slice(0, limit) : shown;
}

function container(json: Json, job: JobFacts): Json {
  const host = record(json['HostConfig']);
  const settings = record(json['NetworkSettings']);
  return plain(
    {
      ...json,
      LogPath: '',
      ResolvConfPath: '',
      HostnamePath: '',
      HostsPath: '',
      ...('GraphDriver' in json ? { GraphDriver: { Name: record(json['GraphDriver'])['Name'], Data: null } } : {}),
      Mounts: mounts(json['Mounts'], job),
      HostConfig: { ...host, ...('Mounts' in host ? { Mounts: mounts(host['Mounts'], job) } : {}) },
      NetworkSettings: { ...settings, ...('SandboxKey' in settings ? { SandboxKey: '' } : {}) },
    },
    job,
  );
}

/** Where something lies on the host isn't the job's business, but for the workspace. */
function mounts(value: unknown, job: JobFacts): unknown {
  if (!Array.isArray(value)) return value ?? [];
  return items(value).map((one) => {
    const source = one['Source'];
    if (typeof source !== 'string') return one;
    if (one['Type'] === 'volume') return { ...one, Source: source.startsWith('/') ? '' : source };
    const known = [job.workspaceSource, job.socketSource].some((path) => path !== null && source === path);
    return known ? one : { ...one, Source: '' };
  });
}

function isOwnNetwork(json: Json, job: JobFacts): boolean {
  const name = json['Name'];
  if (typeof name !== 'string') return false;
  return (
    (job.network !== null && name === job.network) ||
    (name.startsWith(job.namePrefix) && hasLabels(json['Labels'], job))
  );
}

function network(json: Json, job: JobFacts): Json {
  const { Peers: _, Services: __, ...rest } = json;
  const inside = Object.entries(record(json['Containers'])).filter(([, one]) =>
    String(record(one)['Name']).startsWith(job.namePrefix),
  );
  return plain(
    { ...rest, ...('Containers' in json ? { Containers: Object.fromEntries(inside) } : {}), Options: {} },
    job,
  );
}

function volume(json: Json, job: JobFacts): Json {
  return plain({ ...json, Mountpoint: '', Options: null }, job);
}

function images(list: readonly Json[], filters: Filters, job: JobFacts, pulled: readonly string[]): Json[] {
  const dangling = filters.get('dangling')?.map((value) => ['1', 'true'].includes(value.toLowerCase()));
  const patterns = filters.get('reference');
  return list.flatMap((one) => {
    const all = texts(one['RepoTags']);
    const digests = texts(one['RepoDigests']).filter((name) => pulled.includes(name));
    const seen = all.filter((name) => isOwn(name, job) || pulled.includes(name));
    if (seen.length === 0 && digests.length === 0) return [];
    const names = [...new Set(seen.filter((name) => !isNameless(name, job)).map((name) => plainText(name, job)))];
    const shown = patterns
      ? names.filter((name) => patterns.some((pattern) => matchesReference(pattern, name)))
      : names;
    if (patterns && shown.length === 0) return [];
    if (dangling && !dangling.includes(names.length === 0)) return [];
    return [plain({ ...one, RepoTags: shown, RepoDigests: digests, Containers: -1 }, job)];
  });
}

function image(json: Json, job: JobFacts): Json {
  return plain(
    {
      ...json,
      RepoTags: tags(json['RepoTags'], job),
      RepoDigests: tags(json['RepoDigests'], job),
      ...('GraphDriver' in json ? { GraphDriver: { Name: record(json['GraphDriver'])['Name'], Data: null } } : {}),
    },
    job,
  );
}

/** Names without other jobs', and without those that stand for none. */
function tags(value: unknown, job: JobFacts): readonly string[] | null {
  if (!Array.isArray(value)) return null;
  return texts(value).filter((name) => (isOwn(name, job) ? !isNameless(name, job) : !isPrivate(name, job)));
}

function hasLabels(labels: unknown, job: JobFacts): boolean {
  const given = record(labels);
  return Object.entries(job.labels).every(([name, value]) => given[name] === value);
}

function named(filters: Filters, name: string): boolean {
  const patterns = filters.get('name');
  return patterns === undefined || patterns.some((pattern) => matchesName(pattern, name));
}

function filtersOf(matched: Matched): Filters {
  try {
    return readFilters(matched.query.get('filters')?.[0] ?? '');
  } catch {
    // Refused before it was sent.
    return new Map();
  }
}

function record(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

function items(value: unknown): Json[] {
  return Array.isArray(value) ? value.map(record) : [];
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string') : [];
}
