import { z } from 'zod';

/** What the command line sends to the server, and gets. */

const environment = z.string().trim().min(1, 'is missing').max(100, 'is too long');
const repository = z
  .string({ error: 'is missing: OWNER/REPO' })
  .regex(/^[^/\s]{1,100}\/[^/\s]{1,100}$/, "doesn't read OWNER/REPO");

export const requests = {
  deploy: z.strictObject({ repository, environment, ref: z.string().min(1).max(250).nullish() }),
  rollback: z.strictObject({
    repository,
    environment,
    to: z.string().min(1).max(250).nullish(),
    overLock: z.boolean().optional(),
  }),
  promote: z.strictObject({ repository, from: environment, to: environment }),
  lock: z.strictObject({
    repository,
    /** '' is the whole repository. */
    environment: z.string().trim().max(100, 'is too long'),
    reason: z.string().max(200, 'is longer than 200 characters').optional(),
  }),
  unlock: z.strictObject({ repository, environment: z.string().trim().max(100, 'is too long') }),
};

export type ApiRequests = { readonly [Name in keyof typeof requests]: z.input<(typeof requests)[Name]> };

/** Answer to each of these. `run`: address of the run's page. */
export const doneShape = z.object({ message: z.string(), run: z.string().optional() });
/** In place of the answer; the status says whose fault it is. */
export const errorShape = z.object({ error: z.string() });

const deployment = z.object({ sha: z.string(), by: z.string(), run: z.string(), state: z.string() });
const environmentShape = z.object({
  name: z.string(),
  /** `since`: milliseconds since the epoch. */
  current: z
    .object({
      sha: z.string(),
      tag: z.string().nullable(),
      title: z.string(),
      by: z.string(),
      since: z.number(),
      images: z.array(z.string()),
      url: z.string().nullable(),
      run: z.string(),
    })
    .nullable(),
  health: z.object({ kind: z.string(), message: z.string() }),
  running: deployment.nullable(),
  queue: z.array(deployment.extend({ position: z.number().nullable() })),
  lock: z.object({ owner: z.string(), reason: z.string(), since: z.number(), wholeRepository: z.boolean() }).nullable(),
});
export type EnvironmentJson = z.infer<typeof environmentShape>;

/** Answer to GET /api/environments?repository=OWNER/REPO. */
export const environmentsShape = z.object({ repository: z.string(), environments: z.array(environmentShape) });
