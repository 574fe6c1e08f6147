/**
 * A parameter as both databases keep it. PostgreSQL refuses texts with a NUL character, which a job may print into an
 * annotation; so on both it becomes the sign for what can't be shown. In JSON a NUL is written `\u0000`, which is kept.
 */
export function storable<T>(value: T): T | string {
  return typeof value === 'string' && value.includes('\0') ? value.replaceAll('\0', '\uFFFD') : value;
}
