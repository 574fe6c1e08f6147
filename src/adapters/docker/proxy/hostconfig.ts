import type { JobFacts } from './contract.ts';
import type { Context } from './context.ts';
import { bindsOf, mountsOf, tmpfs } from './mounts.ts';
import { networkMode } from './endpoint.ts';
import { quoted, refuse } from './refusal.ts';
import { limitsOf, resourceFields } from './resources.ts';
import {
  between,
  type Check,
  dropped,
  type Fields,
  flag,
  int,
  list,
  mapOf,
  never,
  object,
  text,
  texts,
  textIn,
} from './shape.ts';

const LOG_SIZE = 50 * 1024 ** 2;
const HOST = 'would let the container into the host.';
const SAFE_SYSCTL =
  /^net\.(?:core\.somaxconn|ipv4\.(?:tcp_[a-z0-9_]+|ip_local_port_range|ip_unprivileged_port_start|ping_group_range)|ipv6\.conf\.(?:all|default|lo)\.disable_ipv6)$/;

/** Rebuilds HostConfig from what is known to be harmless, with the job's limits. `mounts` are added to those in it. */
export function hostConfig(value: unknown, mounts: readonly unknown[], context: Context): Record<string, unknown> {
  const { job } = context;
  const given = object(value ?? {}, 'HostConfig', { ...resourceFields(job), ...fields(context) });
  const passed = Object.fromEntries(PASSED.flatMap((name) => (name in given ? [[name, given[name]]] : [])));
  const binds = (given['Binds'] ?? []) as unknown[];
  const all = [...mounts, ...binds, ...((given['Mounts'] ?? []) as unknown[])];
  return {
    ...passed,
    ...limitsOf(given, job, true),
    ...capabilities(given, job.capabilities),
    Privileged: false,
    SecurityOpt: ['no-new-privileges'],
    Ulimits: given['Ulimits'] ?? [{ Name: 'core', Soft: 0, Hard: 0 }],
    RestartPolicy: { Name: 'no' },
    PublishAllPorts: false,
    LogConfig: given['LogConfig'] ?? logs('json-file', {}),
    NetworkMode: given['NetworkMode'] ?? networkMode('', 'HostConfig.NetworkMode', context),
    ShmSize:
      typeof given['ShmSize'] === 'number' && given['ShmSize'] > 0
        ? Math.min(given['ShmSize'], job.limits.memory)
        : 64 * 1024 ** 2,
    ...(all.length === 0 ? {} : { Mounts: withoutDoubles(all) }),
    ...(job.runtime === null ? {} : { Runtime: job.runtime }),
  };
}

/** Go on as they were checked. */
const PASSED = [
  'AutoRemove',
  'CgroupnsMode',
  'ConsoleSize',
  'Dns',
  'DnsOptions',
  'DnsSearch',
  'ExtraHosts',
  'GroupAdd',
  'Init',
  'IpcMode',
  'Links',
  'OomScoreAdj',
  'ReadonlyRootfs',
  'Sysctls',
  'Tmpfs',
  'VolumesFrom',
];

function fields(context: Context): Fields {
  const { job } = context;
  return {
    Binds: (value, where) => bindsOf(value, where, context),
    Mounts: (value, where) => mountsOf(value, where, context),
    Tmpfs: tmpfs,
    VolumesFrom: (value, where) =>
      texts(value, where).map((item) => {
        const [name, mode, ...more] = item.split(':');
        if (more.length > 0 || !['ro', 'rw', 'z', 'Z', undefined].includes(mode))
          refuse(`${where} may not be ${quoted(item)}.`);
        return `${context.container(name ?? '').id}${mode === undefined ? '' : `:${mode}`}`;
      }),
    Links: (value, where) => texts(value, where).map((item) => link(item, context)),
    NetworkMode: (value, where) => networkMode(text(value, where), where, context),
    // The job reaches its containers by their names; ports of the host are not a job's.
    PortBindings: dropped,
    PublishAllPorts: dropped,
    RestartPolicy: dropped,
    ContainerIDFile: dropped,
    Privileged: never(`${HOST} Most tools work without it; ask the operator if a repository needs it.`),
    CapAdd: capabilityNames,
    CapDrop: capabilityNames,
    Capabilities: never(HOST),
    SecurityOpt: (value, where) => {
      for (const option of texts(value, where)) {
        if (!/^no-new-privileges(?:[:=]true)?$/.test(option)) {
          refuse(
            `${where} has ${quoted(option)}: the engine's own profiles stay on, and only no-new-privileges may be given.`,
          );
        }
      }
      return undefined;
    },
    PidMode: (value, where) => namespace(value, where, ['', 'private']),
    IpcMode: (value, where) => namespace(value, where, ['', 'private', 'none', 'shareable']),
    UTSMode: (value, where) => namespace(value, where, ['', 'private']),
    UsernsMode: (value, where) => namespace(value, where, ['', 'private']),
    CgroupnsMode: (value, where) => namespace(value, where, ['', 'private']),
    Cgroup: (value, where) => namespace(value, where, ['']),
    Isolation: (value, where) => namespace(value, where, ['', 'default']),
    Runtime: (value, where) => {
      if (value !== '' && value !== job.runtime) refuse(`${where} ${quoted(value)}: the operator chooses the runtime.`);
      return undefined;
    },
    VolumeDriver: (value, where) => {
      if (value !== '' && value !== 'local') refuse(`${where} may only be local: other drivers run on the host.`);
      return undefined;
    },
    LogConfig: logConfig,
    Sysctls: (value, where) => {
      const result = mapOf(value, where, text);
      for (const name of Object.keys(result)) {
        if (!SAFE_SYSCTL.test(name))
          refuse(`the sysctl ${quoted(name)} could change the host: some of net.* may be set.`);
      }
      return result;
    },
    OomScoreAdj: (value, where) => {
      if (int(value, where) < 0) refuse(`${where} below 0 would have the host's own processes killed first.`);
      return Math.min(value as number, 1000);
    },
    ShmSize: int,
    AutoRemove: flag,
    Init: flag,
    ReadonlyRootfs: flag,
    ConsoleSize: (value, where) =>
      list(value, where)
        .slice(0, 2)
        .map((one) => between(0, 65_535)(one, where)),
    Dns: texts,
    DnsOptions: texts,
    DnsSearch: texts,
    ExtraHosts: texts,
    GroupAdd: texts,
    StorageOpt: never("belongs to the host's storage."),
    Annotations: never('are instructions to the runtime on the host.'),
    // An empty list isn't nothing: it takes the mask off /proc and /sys.
    MaskedPaths: (_, where) => refuse(`${where} would uncover the host's settings in /proc and /sys.`),
    ReadonlyPaths: (_, where) => refuse(`${where} would open the host's settings in /proc and /sys.`),
  };
}

function namespace(value: unknown, where: string, allowed: readonly string[]): unknown {
  const mode = text(value, where);
  if (!allowed.includes(mode)) refuse(`${where} ${quoted(mode)}: a container keeps its own namespaces.`);
  return mode === '' ? undefined : mode;
}

/** A name, as the engine reads it: with or without CAP_, in any case. */
const capabilityNames: Check = (value, where) =>
  texts(value, where).map((name) => {
    const upper = name.toUpperCase().replace(/^CAP_/, '');
    if (!/^[A-Z_]{1,40}$/.test(upper)) refuse(`${where} has ${quoted(name)}, which is no capability.`);
    return upper;
  });

/** The job's own set, less what the client drops. */
function capabilities(
  given: Readonly<Record<string, unknown>>,
  most: readonly string[],
): {
  readonly CapDrop: string[];
  readonly CapAdd: string[];
} {
  const add = (given['CapAdd'] ?? []) as string[];
  const drop = (given['CapDrop'] ?? []) as string[];
  const odd = add.find((name) => !most.includes(name));
  if (odd !== undefined) {
    refuse(
      `the capability ${quoted(odd)} (--cap-add) reaches beyond a container. A job's containers have ${most.join(', ')}.`,
    );
  }
  const left = drop.includes('ALL') ? [] : most.filter((name) => !drop.includes(name));
  return { CapDrop: ['ALL'], CapAdd: most.filter((name) => left.includes(name) || add.includes(name)) };
}

const logConfig: Check = (value, where) => {
  const given = object(value, where, { Type: text, Config: (config, at) => mapOf(config, at, text) });
  return logs(textIn(given, 'Type'), (given['Config'] ?? {}) as Record<string, string>);
};

/** Bounded: a log lies on the host's disk. */
function logs(type: string, config: Readonly<Record<string, string>>): unknown {
  if (type === 'none') return { Type: 'none', Config: {} };
  if (!['', 'json-file', 'local'].includes(type)) {
    refuse(`the log driver ${quoted(type)} sends logs out by the host: use json-file, local or none.`);
  }
  const size = Object.hasOwn(config, 'max-size') ? config['max-size'] : undefined;
  const match = /^(\d{1,9})([kmg]?)b?$/i.exec(size ?? '');
  const unit = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 }[(match?.[2] ?? '').toLowerCase()] ?? 1;
  const bytes = match ? Math.min(Math.max(Number(match[1]) * unit, 4096), LOG_SIZE) : LOG_SIZE;
  return { Type: type === 'local' ? 'local' : 'json-file', Config: { 'max-size': String(bytes), 'max-file': '2' } };
}

/** `container[:alias]`; under its plain name if no alias is given. */
function link(item: string, context: Context): string {
  const [name, alias, ...more] = item.split(':');
  const other = (name ?? '').replace(/^\//, '');
  const seen = (alias ?? other).slice((alias ?? other).lastIndexOf('/') + 1);
  if (more.length > 0 || !/^[a-zA-Z0-9_.-]{1,200}$/.test(seen))
    refuse(`the link ${quoted(item)} is not container:alias.`);
  return `${context.container(other).name}:${seen}`;
}

/** The engine refuses two mounts on one target; compose names some both as volume and as mount. */
function withoutDoubles(mounts: readonly unknown[]): unknown[] {
  const byTarget = new Map(mounts.map((mount) => [(mount as { Target: string }).Target, mount]));
  return [...byTarget.values()];
}

export function updated(body: unknown, job: JobFacts): Record<string, unknown> {
  const given = object(body ?? {}, '', { ...resourceFields(job), RestartPolicy: dropped });
  return limitsOf(given, job, false);
}
