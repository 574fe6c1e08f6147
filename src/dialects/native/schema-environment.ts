import { z } from 'zod';
import {
  atMost,
  duration,
  environmentName,
  jobId,
  kubernetesName,
  longDuration,
  shortText,
  text,
  workload,
} from './schema-words.ts';

/** The shape of `environments` and `preview`; schema.ts has the rest. */

const DAY = '(mon|tue|wed|thu|fri|sat|sun)';

const login = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$/, 'must be the name of somebody on GitHub, without @');
const team = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,99}\/[A-Za-z0-9._-]{1,100}$/, 'must be organisation/team, as in acme/ops');

/** Whoever any of them names. */
const people = {
  people: atMost(100, login).optional().describe('Names on GitHub, without @: `[ada, grace]`.'),
  teams: atMost(100, team).optional().describe('Teams as `organisation/team`: `[acme/ops]`.'),
  permission: z
    .enum(['triage', 'write', 'maintain', 'admin'])
    .optional()
    .describe('Everybody who has this permission on the repository, or a higher one.'),
};

const days = z
  .string()
  .regex(
    new RegExp(`^${DAY}(-${DAY})?$`),
    'must be a day or a span of days: mon, tue, wed, thu, fri, sat, sun, mon-fri',
  );

const window = z.strictObject({
  days: atMost(7, days).optional().describe('Days: `mon-fri`, or `[mon, wed]`. Default: every day.'),
  hours: z
    .string()
    .regex(
      /^([01]?\d|2[0-3]):[0-5]\d-(([01]?\d|2[0-3]):[0-5]\d|24:00)$/,
      'must be a time of the day such as 09:00-17:00 or 22:00-04:00',
    )
    .optional()
    .describe('From when to when: `"09:00-17:00"`. `"22:00-04:00"` ends on the next day. Default: the whole day.'),
  zone: text.optional().describe('Time zone of the days and hours: `Europe/Berlin`. Default: `UTC`.'),
});

const checkTimes = {
  every: duration.optional().describe('How long to wait between two answers. Default 10s.'),
  count: z
    .int('must be a whole number')
    .min(1, 'must be from 1 to 1000')
    .max(1000, 'must be from 1 to 1000')
    .optional()
    .describe('How many answers are asked for. Default 1.'),
  failures: z
    .int('must be a whole number')
    .min(0, 'must be 0 or more')
    .optional()
    .describe('How many of the answers may be bad. Default 0.'),
};

/** A step that is written as a map. Which keys go together is checked in strategy.ts. */
export const stepMap = z
  .strictObject({
    pause: z
      .union([
        z.number().positive('must be more than 0'),
        z
          .string()
          .regex(
            /^(approval|(?=\d)(\d+d)?(\d+h)?(\d+m)?(\d+s)?)$/,
            'must be a duration such as 90s or 10m, or approval',
          ),
      ])
      .optional()
      .describe('Waits so long (`5m`), or until somebody approves (`approval`).'),
    approval: z.literal(true).optional().describe('True: waits until somebody approves.'),
    probe: shortText
      .optional()
      .describe('Address that must answer: `https://shop.example.com/health`. May use `${{ event... }}`.'),
    status: z
      .int('must be a whole number')
      .min(100, 'must be from 100 to 599')
      .max(599, 'must be from 100 to 599')
      .optional()
      .describe('Of `probe`: the status that it must answer. Default 200.'),
    contains: shortText.optional().describe('Of `probe`: text that the answer must hold.'),
    prometheus: text.optional().describe("Name of a Prometheus server in the operator's file."),
    query: z
      .string()
      .min(1, 'must not be empty')
      .max(5000, 'must not have more than 5000 characters')
      .optional()
      .describe('Of `prometheus`: an instant query that answers one number.'),
    max: z.number().optional().describe('Of `prometheus`: the number must not be more.'),
    min: z.number().optional().describe('Of `prometheus`: the number must not be less.'),
    ...checkTimes,
    job: jobId.optional().describe('Id of a job of this file that must succeed.'),
  })
  .describe('What happens between two shares: a pause, an approval or a check.');

/** A step that is written as a text. */
export const stepText = z
  .string()
  .regex(
    /^((100|[1-9]\d?)%|approval)$/,
    'must be a share of the pods such as 25%, approval, or a map such as { pause: 5m }',
  );

const step = z.union([stepText.describe('Share of the pods that run the new version: `25%`. Or `approval`.'), stepMap]);
const checks = z
  .array(z.union([z.string().regex(/^approval$/, 'must be approval, or a map such as { pause: 5m }'), stepMap]))
  .max(50, 'must not have more than 50 steps');

export const blueGreen = z
  .strictObject({
    service: workload.describe('The Service that is switched: `namespace/name`.'),
    before: checks
      .optional()
      .describe('Pauses, approvals and checks while the new pods stand beside the old ones, before the switch.'),
    after: checks.optional().describe('Pauses, approvals and checks after the switch, before the old pods go.'),
  })
  .describe("A second, complete set of pods beside the old one; then the Service's selector is switched.");

const value = z
  .enum(['reference', 'digest', 'tag'])
  .describe(
    'What the field gets: the whole `reference` (`ghcr.io/acme/shop@sha256:...`), only its `digest`, or a `tag`. Default: `reference`.',
  );
const change = {
  file: shortText.describe('The file, relative to the top of that repository; YAML or JSON.'),
  field: shortText.describe('Path of keys to the field: `spec.template.spec.containers[0].image`.'),
  image: z.string().describe('Id of the job that builds the image.'),
};

export const gitops = z
  .strictObject({
    repository: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9-]{0,99}\/[A-Za-z0-9._-]{1,100}$/, 'must be owner/name, as in acme/deploy')
      .describe('The repository that is changed: `acme/deploy`.'),
    branch: shortText.optional().describe('Its branch. Default: its default branch.'),
    'pull-request': z
      .boolean()
      .optional()
      .describe('True: a pull request is opened there and followed until it is merged. Default: false, a commit.'),
    file: change.file.optional(),
    field: change.field.optional(),
    image: change.image.optional(),
    value: value.optional(),
    changes: z
      .array(z.strictObject({ ...change, value: value.optional() }))
      .min(1, 'must not be empty')
      .max(100, 'must not have more than 100 changes')
      .optional()
      .describe('Several changes, each with `file`, `field`, `image` and `value`.'),
  })
  .describe('Deploying is a commit in another repository that sets the image in a file, in place of `rollout`.');

export const rolloutTarget = z.strictObject({
  deployment: workload.optional().describe('The Deployment: `namespace/name`.'),
  statefulset: workload.optional().describe('The StatefulSet: `namespace/name`.'),
  daemonset: workload.optional().describe('The DaemonSet: `namespace/name`.'),
  deploymentconfig: workload.optional().describe('The DeploymentConfig (OpenShift): `namespace/name`.'),
  'argo-rollout': workload.optional().describe('The Rollout (Argo Rollouts): `namespace/name`.'),
  container: kubernetesName.describe("Name of the container in the workload's pods that gets the image."),
  image: z.string().describe('Id of the job that builds the image.'),
  cluster: text.optional().describe("Name of a cluster in the server's configuration. Default: its default cluster."),
});

const on = z.strictObject({
  branch: atMost(100, text)
    .optional()
    .describe('Branches whose pushes are deployed here: `main`, `release/*` (`*` ends at a `/`, `**` does not).'),
  tag: atMost(100, text).optional().describe('Tags that are deployed here: `v*`.'),
  release: z.literal(true).optional().describe('True: releases that are published on GitHub are deployed here.'),
  manual: z.literal(true).optional().describe('True: deployed here by commands and buttons. They always may.'),
});

const approvalRule = z.strictObject({
  count: z
    .int('must be a whole number')
    .min(1, 'must be from 1 to 20')
    .max(20, 'must be from 1 to 20')
    .optional()
    .describe('How many different people must approve. Default 1.'),
  ...people,
});

export const environment = z
  .strictObject({
    on: z
      .union([on, z.string().regex(/^manual$/, 'must be manual, or a map such as { branch: main }')])
      .optional()
      .describe('What is deployed here by itself. Without it (or `manual`), only commands and buttons deploy here.'),
    after: atMost(100, environmentName)
      .optional()
      .describe('Environments in which the same images must be healthy now: `staging`.'),
    approvals: z
      .union([
        z.int('must be a whole number').min(1, 'must be from 1 to 20').max(20, 'must be from 1 to 20'),
        approvalRule,
      ])
      .optional()
      .describe(
        'How many people must approve, never the author of the change or who asked: a number (anybody with write permission), or `{ count, people, teams, permission }`.',
      ),
    allow: z
      .strictObject(people)
      .optional()
      .describe('Who may deploy here by commands and buttons. Default: whoever has write permission.'),
    protect: atMost(100, shortText)
      .optional()
      .describe('Checks on the commit that must have succeeded, by name: `[test, security/scan]`.'),
    windows: atMost(20, window).optional().describe('Deployments begin in these times only.'),
    queue: z
      .enum(['all', 'newest'])
      .optional()
      .describe(
        'Deployments that wait for another: each gets its turn (`all`, the default), or only the `newest` does.',
      ),
    rollout: z
      .array(rolloutTarget)
      .min(1, 'must name a workload at least')
      .max(100, 'must not have more than 100 items')
      .optional()
      .describe('The workloads that get the new image.'),
    parallel: z
      .boolean()
      .optional()
      .describe('True: all workloads are changed at the same time. Default: false, one after the other.'),
    stable: z
      .union([
        z.number().min(0, 'must not be less than 0'),
        z.string().regex(/^(?=\d)(\d+h)?(\d+m)?(\d+s)?$/, 'must be a duration such as 30s, 5m or 0s'),
      ])
      .optional()
      .describe('How long the workloads must have stayed healthy before the rollout counts as done. Default 5s.'),
    steps: z
      .array(step)
      .min(1, 'must not be empty')
      .max(50, 'must not have more than 50 steps')
      .optional()
      .describe(
        'How the new version takes over: `[10%, { pause: 5m }, 50%, 100%]`. A canary beside the workload takes each share.',
      ),
    'blue-green': blueGreen.optional(),
    gitops: gitops.optional(),
    url: shortText.optional().describe('Address of the environment, shown on GitHub. May use `${{ event... }}`.'),
    timeout: longDuration
      .optional()
      .describe(
        'How long the rollout may take until it is healthy: `90s`, `10m`, `1h30m`, or a number of minutes. Default 10m, at most 6h. Of a pull request by `gitops`: until it is merged, default 1d, at most 14d.',
      ),
  })
  .describe('A place that deployments go to.');

export const preview = z
  .strictObject({
    manifests: atMost(100, text).describe(
      "Folder or globs of Kubernetes manifests, relative to the repository's root: `deploy/preview`.",
    ),
    images: z
      .record(z.string(), z.string())
      .optional()
      .describe(
        'Names of images as the manifests have them, without tag, and the jobs that build them: `{ ghcr.io/acme/shop: image }`.',
      ),
    url: shortText.optional().describe('Address of the preview, shown on GitHub. May use `${{ event... }}`.'),
    timeout: duration.optional().describe('How long it may take until it is healthy. Default 10m, at most 6h.'),
    keep: longDuration
      .optional()
      .describe('How long it stays after its last deployment, at most: `3d` (the default), `12h`. At most 30d.'),
  })
  .describe('An environment for each pull request, made from manifests in the repository.');

export type RawEnvironment = z.infer<typeof environment>;
export type RawTarget = z.infer<typeof rolloutTarget>;
export type RawPeople = z.infer<z.ZodObject<typeof people>>;
export type RawApprovals = NonNullable<RawEnvironment['approvals']>;
export type RawWindow = z.infer<typeof window>;
export type RawStep = z.infer<typeof stepMap>;

const has = (...keys: readonly string[]) => ({ required: keys });
const none = (...keys: readonly string[]) => ({ not: { anyOf: keys.map((key) => has(key)) } });
const probeKeys = ['status', 'contains'];
const queryKeys = ['query', 'min', 'max'];

/** What JSON Schema adds to the shapes: which keys exclude each other. */
export const together: ReadonlyMap<unknown, object> = new Map<unknown, object>([
  [
    stepMap,
    {
      oneOf: [
        { ...has('pause'), maxProperties: 1 },
        { ...has('approval'), maxProperties: 1 },
        { ...has('job'), maxProperties: 1 },
        { ...has('probe'), ...none('pause', 'approval', 'job', 'prometheus', ...queryKeys) },
        {
          ...has('prometheus', 'query'),
          anyOf: [has('min'), has('max')],
          ...none('pause', 'approval', 'job', 'probe', ...probeKeys),
        },
      ],
    },
  ],
  [
    gitops,
    {
      oneOf: [
        { ...has('changes'), ...none('file', 'field', 'image', 'value') },
        { ...has('file', 'field', 'image'), ...none('changes') },
      ],
    },
  ],
  [
    environment,
    {
      oneOf: [
        { ...has('rollout'), not: { anyOf: [has('gitops'), has('steps', 'blue-green')] } },
        { ...has('gitops'), ...none('rollout', 'steps', 'blue-green', 'stable', 'parallel') },
      ],
    },
  ],
  [on, { minProperties: 1 }],
  [window, { anyOf: [has('days'), has('hours')] }],
]);
