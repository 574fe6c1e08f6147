import { misread, quoted, refuse } from './refusal.ts';

/** Takes a value (never null) and what to call it in messages; answers what goes on, undefined: nothing. May throw Refused. */
export type Check = (value: unknown, where: string) => unknown;
export type Fields = Readonly<Record<string, Check>>;

const TEXT_LIMIT = 128 * 1024;

/** How people write on the command line what they are refused: few know the names of the Engine API. */
const OPTIONS: Readonly<Record<string, string>> = {
  // Of docker exec.
  Privileged: '--privileged',
  'HostConfig.Privileged': '--privileged',
  'HostConfig.NetworkMode': '--network',
  'HostConfig.PidMode': '--pid',
  'HostConfig.IpcMode': '--ipc',
  'HostConfig.UTSMode': '--uts',
  'HostConfig.UsernsMode': '--userns',
  'HostConfig.CgroupnsMode': '--cgroupns',
  'HostConfig.CgroupParent': '--cgroup-parent',
  'HostConfig.SecurityOpt': '--security-opt',
  'HostConfig.Devices': '--device',
  'HostConfig.DeviceRequests': '--gpus',
  'HostConfig.DeviceCgroupRules': '--device-cgroup-rule',
  'HostConfig.Runtime': '--runtime',
  'HostConfig.VolumeDriver': '--volume-driver',
  'HostConfig.VolumesFrom': '--volumes-from',
  'HostConfig.StorageOpt': '--storage-opt',
  'HostConfig.Annotations': '--annotation',
  'HostConfig.OomKillDisable': '--oom-kill-disable',
  'HostConfig.OomScoreAdj': '--oom-score-adj',
  'HostConfig.BlkioWeightDevice': '--blkio-weight-device',
  'HostConfig.Isolation': '--isolation',
};

/**
 * Rebuilds an object from the fields of the table alone. A name in another case is refused: the engine would take
 * `privileged` for `Privileged`. Null is nothing, as for the engine.
 */
export function object(value: unknown, where: string, fields: Fields): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [name, item] of entries(value, where)) {
    const check = Object.hasOwn(fields, name) ? fields[name] : undefined;
    const field = where === '' ? name : `${where}.${name}`;
    const path = Object.hasOwn(OPTIONS, field) ? `${OPTIONS[field]} (${field})` : field;
    if (item === null) continue;
    if (check === undefined) {
      // It wouldn't go on anyway; but who asks for something shall know.
      if (isNothing(item)) continue;
      refuse(`the option ${quoted(path)} is not known here. ${spelled(name, fields)}`.trim());
    }
    const kept = check(item, path);
    if (kept !== undefined) result[name] = kept;
  }
  return result;
}

function spelled(name: string, fields: Fields): string {
  const meant = Object.keys(fields).find((field) => field.toLowerCase() === name.toLowerCase());
  return meant === undefined ? '' : `It is written ${quoted(meant)}.`;
}

/** The pairs of an object; of null and undefined none. */
export function entries(value: unknown, where: string): [string, unknown][] {
  if (value === null || value === undefined) return [];
  if (typeof value !== 'object' || Array.isArray(value)) misread(`${nameOf(where)} must be an object.`);
  return Object.entries(value);
}

export function list(value: unknown, where: string): readonly unknown[] {
  if (value === null || value === undefined) return [];
  if (!Array.isArray(value)) return misread(`${nameOf(where)} must be a list.`);
  return value as readonly unknown[];
}

export function text(value: unknown, where: string): string {
  if (typeof value !== 'string') return misread(`${nameOf(where)} must be a text.`);
  if (value.length > TEXT_LIMIT || value.includes('\0')) misread(`${nameOf(where)} has a text that it may not have.`);
  return value;
}

export function texts(value: unknown, where: string): string[] {
  return list(value, where).map((item) => text(item, where));
}

export function flag(value: unknown, where: string): boolean {
  if (typeof value !== 'boolean') return misread(`${nameOf(where)} must be true or false.`);
  return value;
}

export function int(value: unknown, where: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value))
    return misread(`${nameOf(where)} must be a whole number.`);
  return value;
}

export function textMap(value: unknown, where: string): Record<string, string> {
  return mapOf(value, where, (item, path) => text(item, path));
}

/** `{"80/tcp": {}}`: the names alone. */
export function nameSet(value: unknown, where: string): Record<string, object> {
  return mapOf(value, where, () => ({}));
}

/** Names like `__proto__` are refused: they'd mean something else to other readers. */
export function mapOf<T>(value: unknown, where: string, item: (value: unknown, where: string) => T): Record<string, T> {
  const result: Record<string, T> = {};
  for (const [name, one] of entries(value, where)) {
    if (name === '__proto__' || name.includes('\0')) misread(`${nameOf(where)} has a name that it may not have.`);
    result[name] = item(one, `${where}[${name.slice(0, 40)}]`);
  }
  return result;
}

/** A text of the given form. */
export function like(form: RegExp): Check {
  return (value, where) => {
    const it = text(value, where);
    if (!form.test(it)) misread(`${nameOf(where)} may not be ${quoted(it)}.`);
    return it;
  };
}

export function between(low: number, high: number): Check {
  return (value, where) => {
    const it = int(value, where);
    if (it < low || it > high) refuse(`${where} may be from ${low} to ${high}.`);
    return it;
  };
}

/** Accepted and left out, whatever it is. */
export const dropped: Check = () => undefined;

/** Only what means "not given" to the engine: empty, 0, false. `why` is a sentence. */
export function never(why: string, instead: readonly unknown[] = []): Check {
  return (value, where) => {
    if (!isNothing(value) && !instead.includes(value)) refuse(`${where} ${why}`);
    return undefined;
  };
}

/** Labels of the client's. Ours can't be written. */
export function labels(value: unknown, where: string): Record<string, string> {
  const result = textMap(value, where);
  for (const name of Object.keys(result)) {
    if (name.toLowerCase().startsWith('slipway.'))
      refuse(`labels that begin with \`slipway.\` are Slipway's own (${where}).`);
  }
  return result;
}

/** A field of what `object` answered, where it was checked as a text. */
export function textIn(checked: Readonly<Record<string, unknown>>, name: string): string {
  const value = checked[name];
  return typeof value === 'string' ? value : '';
}

function isNothing(value: unknown): boolean {
  if (value === '' || value === 0 || value === false || value === null || value === undefined) return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

function nameOf(where: string): string {
  return where === '' ? 'The body' : where;
}
