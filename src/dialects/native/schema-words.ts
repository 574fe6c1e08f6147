import { z } from 'zod';

/** Words of the format that jobs and environments share. */

export const text = z.string().min(1, 'must not be empty');
export const shortText = text.max(1000, 'must not have more than 1000 characters');
export const scalar = z.union([
  z.string().max(1000, 'must not have more than 1000 characters'),
  z.number(),
  z.boolean(),
]);
export const oneOrMore = <T extends z.ZodType>(item: T) => z.union([item, z.array(item).min(1, 'must not be empty')]);
/** As oneOrMore, but not endless. */
export const atMost = <T extends z.ZodType>(most: number, item: T) =>
  z.union([item, z.array(item).min(1, 'must not be empty').max(most, `must not have more than ${most} items`)]);

export const jobId = z
  .string()
  .regex(
    /^[A-Za-z_][A-Za-z0-9_-]{0,99}$/,
    'must be made of letters, digits, - and _, start with a letter or _, and have at most 100',
  );
export const hostName = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'must be a host name: small letters, digits and -, at most 63');
export const variableName = z
  .string()
  .regex(
    /^(?!__proto__$)[A-Za-z_][A-Za-z0-9_]*$/,
    'must be the name of a variable: letters, digits and _, not starting with a digit',
  );
export const environmentName = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/,
    'must be made of letters, digits, ., - and _, start with a letter or digit, and have at most 63',
  );
export const kubernetesName = z
  .string()
  .regex(
    /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
    'must be a name as Kubernetes has them: small letters, digits and -, at most 63',
  );
export const workload = z
  .string()
  .regex(
    /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\/[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/,
    'must be namespace/name, both as Kubernetes has them: small letters, digits and -',
  );

export const duration = z
  .union([
    z.number().positive('must be more than 0'),
    z.string().regex(/^(?=\d)(\d+h)?(\d+m)?(\d+s)?$/, 'must be a duration such as 90s, 10m or 1h30m'),
  ])
  .describe('How long it may take: `90s`, `10m`, `1h30m`, or a number of minutes. At most 6h.');

/** As duration, with days. How much is too much depends on the key. */
export const longDuration = z.union([
  z.number().positive('must be more than 0'),
  z.string().regex(/^(?=\d)(\d+d)?(\d+h)?(\d+m)?(\d+s)?$/, 'must be a duration such as 90s, 10m, 1h30m or 2d'),
]);
