/** A part of a manifest: what JSON can say. */
export type Value = null | boolean | number | string | readonly Value[] | Fields;
export interface Fields {
  readonly [key: string]: Value;
}

/** Something that isn't allowed, and where: keys from the object's top. */
export interface Problem {
  readonly path: string;
  readonly message: string;
}

export function isFields(value: Value | undefined): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value as a map; an empty one if it is something else. */
export function fieldsOf(value: Value | undefined): Fields {
  return isFields(value) ? value : {};
}

export function listOf(value: Value | undefined): readonly Value[] {
  return Array.isArray(value) ? (value as readonly Value[]) : [];
}

/** What is behind these keys, or undefined. */
export function valueAt(value: Value, keys: readonly string[]): Value | undefined {
  let at: Value | undefined = value;
  for (const key of keys) at = isFields(at) ? at[key] : undefined;
  return at;
}

/** The same with something else behind these keys. */
export function withValueAt(value: Value, [key, ...rest]: readonly string[], change: (value: Value) => Value): Value {
  if (key === undefined) return change(value);
  const fields = fieldsOf(value);
  return { ...fields, [key]: withValueAt(fields[key] ?? null, rest, change) };
}

/** Said: neither absent nor null nor false. */
export function isSet(value: Value | undefined): boolean {
  return value !== undefined && value !== null && value !== false;
}

/** One problem for each key that isn't among the known ones. */
export function unknownKeys(fields: Fields, known: ReadonlySet<string>, path: string): readonly Problem[] {
  return Object.entries(fields)
    .filter(([key, value]) => !known.has(key) && isSet(value))
    .map(([key]) => ({ path: join(path, key), message: 'is not allowed in a preview' }));
}

export function join(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}
