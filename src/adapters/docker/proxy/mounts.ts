import { posix } from 'node:path';
import { WORKSPACE } from '#src/model/workspace.ts';
import type { Context } from './context.ts';
import { misread, quoted, refuse } from './refusal.ts';
import {
  between,
  type Check,
  dropped,
  flag,
  int,
  labels,
  like,
  list,
  never,
  object,
  text,
  textMap,
  textIn,
} from './shape.ts';

/** Mounts of a container in the form that goes to the engine. */
type Mount = Record<string, unknown>;

const SOCKETS = ['/var/run/docker.sock', '/run/docker.sock'];
const VOLUME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,200}$/;
const TMPFS_WORDS =
  /^(?:rw|ro|exec|noexec|suid|nosuid|dev|nodev|sync|async|dirsync|remount|atime|noatime|relatime|strictatime|size=\d{1,15}[kmgKMG%]?|nr_blocks=\d+[kmg]?|nr_inodes=\d+[kmg]?|mode=[0-7]{1,5}|uid=\d{1,10}|gid=\d{1,10}|)$/;
const BIND_WORDS = new Set([
  'ro',
  'rw',
  'z',
  'Z',
  'nocopy',
  'cached',
  'delegated',
  'consistent',
  'private',
  'rprivate',
  '',
]);

/** `Binds`, as `docker run -v` sends them: `[source:]target[:options]`. */
export function bindsOf(value: unknown, where: string, context: Context): Mount[] {
  return list(value, where).map((item) => {
    const [first, second, third, ...more] = text(item, where).split(':');
    if (first === undefined || more.length > 0)
      misread(`${where} has ${quoted(item)}, which is not source:target:options.`);
    if (second === undefined) return volume('', first, {}, context);
    const words = (third ?? '').split(',');
    const odd = words.find((word) => !BIND_WORDS.has(word));
    if (odd !== undefined) refuse(`the option ${quoted(odd)} of ${quoted(item)} would share mounts with the host.`);
    const readOnly = words.includes('ro');
    if (first.startsWith('/')) return bind(first, second, { readOnly, create: true }, context);
    return volume(first, second, { readOnly, noCopy: words.includes('nocopy') }, context);
  });
}

/** `Mounts`, as `docker run --mount` and compose send them. */
export function mountsOf(value: unknown, where: string, context: Context): Mount[] {
  return list(value, where).map((item) => mount(item, where, context));
}

/** `Volumes` of the configuration: targets of volumes without a name. */
export function unnamedVolumes(value: unknown, where: string, context: Context): Mount[] {
  return Object.keys(object({ value }, where, { value: textsAsKeys })['value'] ?? {}).map((target) =>
    volume('', target, {}, context),
  );
}

const textsAsKeys: Check = (value, where) =>
  Object.fromEntries(
    Object.keys(
      typeof value === 'object' && value !== null && !Array.isArray(value)
        ? value
        : misread(`${where} must be an object.`),
    ).map((key) => [key, 0]),
  );

/** `Tmpfs`: target to options. Their memory counts as the container's. */
export const tmpfs: Check = (value, where) => {
  const result = textMap(value, where);
  for (const [target, options] of Object.entries(result)) {
    targetOf(target);
    const odd = options.split(',').find((word) => !TMPFS_WORDS.test(word));
    if (odd !== undefined) refuse(`the option ${quoted(odd)} of the tmpfs on ${quoted(target)} is not known here.`);
  }
  return result;
};

function mount(item: unknown, where: string, context: Context): Mount {
  const given = object(item, where, {
    Type: text,
    Source: text,
    Target: text,
    ReadOnly: flag,
    Consistency: dropped,
    BindOptions: (value, at) =>
      object(value, at, {
        Propagation: like(/^(?:r?private)?$/),
        NonRecursive: flag,
        CreateMountpoint: flag,
        ReadOnlyNonRecursive: dropped,
        ReadOnlyForceRecursive: dropped,
      }),
    VolumeOptions: (value, at) =>
      object(value, at, { NoCopy: flag, Labels: labels, DriverConfig: driver, Subpath: subpath }),
    TmpfsOptions: (value, at) =>
      object(value, at, {
        SizeBytes: int,
        Mode: between(0, 0o7777),
        Options: never('may not be set: give size and mode.'),
      }),
    ImageOptions: dropped,
    ClusterOptions: dropped,
  });
  const source = textIn(given, 'Source');
  const target = textIn(given, 'Target');
  const readOnly = given['ReadOnly'] === true;
  switch (textIn(given, 'Type') || 'volume') {
    case 'bind': {
      const options = given['BindOptions'] as Mount | undefined;
      return bind(source, target, { readOnly, create: options?.['CreateMountpoint'] === true }, context);
    }
    case 'volume': {
      const options = (given['VolumeOptions'] ?? {}) as Mount;
      return volume(
        source,
        target,
        {
          readOnly,
          noCopy: options['NoCopy'] === true,
          labels: (options['Labels'] ?? {}) as Record<string, string>,
          subpath: (options['Subpath'] ?? '') as string,
        },
        context,
      );
    }
    case 'tmpfs': {
      if (source !== '') misread('A tmpfs has no source.');
      const options = (given['TmpfsOptions'] ?? {}) as { SizeBytes?: number; Mode?: number };
      const asked = options.SizeBytes ?? 0;
      const most = context.job.limits.memory;
      return {
        Type: 'tmpfs',
        Target: targetOf(target),
        ...(readOnly ? { ReadOnly: true } : {}),
        TmpfsOptions: {
          SizeBytes: asked > 0 ? Math.min(asked, most) : most,
          ...(options.Mode === undefined ? {} : { Mode: options.Mode }),
        },
      };
    }
    default:
      return refuse(`mounts of the type ${quoted(given['Type'])} are not known here: use volume, tmpfs or bind.`);
  }
}

/** A path as the job sees it: of its workspace, or its own Docker socket. All else would be the host's. */
function bind(
  given: string,
  target: string,
  options: { readonly readOnly: boolean; readonly create: boolean },
  context: Context,
): Mount {
  if (!given.startsWith('/')) misread(`The source of a bind mount must be an absolute path, not ${quoted(given)}.`);
  const source = posix.normalize(given).replace(/(?<=.)\/$/, '');
  const common = { Target: targetOf(target), ...(options.readOnly ? { ReadOnly: true } : {}) };
  const plain = { Type: 'bind', ...common, BindOptions: { Propagation: 'rprivate' } };
  if (SOCKETS.includes(source) || source === context.job.socketPath) {
    if (context.job.socketSource === null) refuse(`the Docker socket can't be mounted here (${quoted(given)}).`);
    return { ...plain, Source: context.job.socketSource };
  }
  if (source !== WORKSPACE && !source.startsWith(`${WORKSPACE}/`)) {
    refuse(
      `${quoted(given)} can't be mounted: only the workspace (${WORKSPACE}) and what is in it can, for other paths would ` +
        'be those of the host. Copy it into the workspace, or into the container with docker cp.',
    );
  }
  if (context.job.workspaceSource === null) {
    refuse(`${quoted(given)} can't be mounted: the workspace isn't on the engine's host. Use docker cp, or a volume.`);
  }
  if (source === WORKSPACE) return { ...plain, Source: context.job.workspaceSource };
  const bound = context.bind({ source, path: source.slice(WORKSPACE.length + 1), create: options.create });
  if ('path' in bound) return { ...plain, Source: bound.path };
  return { Type: 'volume', Source: bound.volume, ...common, VolumeOptions: { NoCopy: true, Subpath: bound.subpath } };
}

function volume(
  source: string,
  target: string,
  options: {
    readonly readOnly?: boolean;
    readonly noCopy?: boolean;
    readonly labels?: Readonly<Record<string, string>>;
    readonly subpath?: string;
  },
  context: Context,
): Mount {
  return {
    Type: 'volume',
    ...(source === '' ? {} : { Source: volumeName(source, context) }),
    Target: targetOf(target),
    ...(options.readOnly ? { ReadOnly: true } : {}),
    // The engine makes the volume if it isn't there: with our labels, or nobody would remove it.
    VolumeOptions: {
      Labels: { ...options.labels, ...context.job.labels },
      ...(options.noCopy ? { NoCopy: true } : {}),
      ...(options.subpath ? { Subpath: options.subpath } : {}),
    },
  };
}

/** The engine's name for a volume that may not exist yet. */
export function volumeName(name: string, context: Context): string {
  if (!VOLUME.test(name)) misread(`${quoted(name)} is not the name of a volume.`);
  return context.maybe('volume', name)?.name ?? context.job.namePrefix + name;
}

function targetOf(target: string): string {
  if (!target.startsWith('/') || target.length > 4096)
    misread(`The target of a mount must be an absolute path, not ${quoted(target)}.`);
  return target;
}

const driver: Check = (value, where) => {
  object(value, where, {
    Name: (name, at) => {
      if (name !== '' && name !== 'local') refuse(`${at} may only be local: other drivers run on the host.`);
      return undefined;
    },
    Options: never('would mount paths and devices of the host.'),
  });
  return undefined;
};

const subpath: Check = (value, where) => {
  const path = text(value, where);
  if (path.startsWith('/') || path.split('/').includes('..')) misread(`${where} may not lead out of the volume.`);
  return path;
};
