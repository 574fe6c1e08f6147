import { z } from 'zod';
import { environment, preview, together } from './schema-environment.ts';
import {
  duration,
  environmentName,
  hostName,
  jobId,
  oneOrMore,
  scalar,
  shortText,
  text,
  variableName,
} from './schema-words.ts';

/**
 * The shape of slipway.yml: what is checked and what is published as schema/slipway.schema.json, from one source.
 * What JSON Schema can't say (needs, expressions, ...) is checked in the files beside this one.
 */

const variables = z.record(variableName, scalar);
const secretName = z
  .string()
  .regex(
    /^(?!__proto__$)[A-Za-z_][A-Za-z0-9_]{0,254}$/,
    'must be the name of a secret: letters, digits and _, not starting with a digit, at most 255',
  );
const secretId = z
  .string()
  .regex(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$/, 'must be made of letters, digits, ., - and _, and have at most 100');

const sealed = z.strictObject({
  sealed: z
    .string()
    .regex(/^sealed:\S+$/, 'must be a text that `slipway seal` has made')
    .max(100_000, 'must not have more than 100000 characters')
    .describe('A value encrypted for this repository, as `slipway seal` prints it: `sealed:v1:...`.'),
});

const secrets = z.union([
  z.array(variableName).min(1, 'must not be empty'),
  z.record(
    variableName,
    z.union([
      secretName,
      z.strictObject({
        secret: secretName.optional().describe("Name of the secret. Default: the variable's name."),
        file: z
          .boolean()
          .optional()
          .describe('True: the value is written to a file in memory, and the variable holds its path. Default: false.'),
      }),
    ]),
  ),
]);

const step = z.strictObject({
  run: text.describe('The commands of this step.'),
  name: shortText.optional().describe('What people are shown. Default: the first command. May use `${{ matrix... }}`.'),
  secrets: secrets.optional().describe('Secrets that this step alone gets, as `secrets` of a job.'),
});

const service = z.union([
  text.describe('Image of the service: `redis:8`.'),
  z.strictObject({
    image: text.describe('Image of the service: `postgres:17`. May use `${{ matrix... }}`.'),
    env: variables.optional().describe('Variables of the service.'),
    command: oneOrMore(text)
      .optional()
      .describe("Arguments in place of the image's own command. A text is split at blanks."),
    port: z
      .int('must be a whole number')
      .min(1, 'must be from 1 to 65535')
      .max(65_535, 'must be from 1 to 65535')
      .optional()
      .describe(
        "Port that must be open before the job starts. Default: the image's health check, else its exposed ports.",
      ),
    timeout: duration.optional().describe('How long the service may take to be ready. Default 60s.'),
  }),
]);

const axis = oneOrMore(scalar).describe('The values of this axis.');
const entries = z.array(z.record(z.string(), scalar));
const matrix = z
  .object({
    include: entries.optional().describe('Values added to the combinations they fit, or combinations of their own.'),
    exclude: entries.optional().describe('Combinations left out.'),
  })
  .catchall(axis)
  .describe('Runs the job once for each combination of the axes: `{ node: [22, 24], os: [debian, alpine] }`.');

const build = z.strictObject({
  context: text
    .optional()
    .describe("Folder that is sent to the build, relative to the repository's root. Default: `.`"),
  dockerfile: text.optional().describe('The Dockerfile, relative to the context. Default: `Dockerfile`'),
  image: shortText
    .optional()
    .describe(
      'Where the image is pushed on branches and tags that deploy, without a tag: `ghcr.io/acme/shop`. Without it, the image is built and never pushed.',
    ),
  target: text.optional().describe('Stage of the Dockerfile to build. Default: the last.'),
  args: variables.optional().describe('Build arguments (`ARG`). They are visible in the image: no place for secrets.'),
  secrets: z
    .union([z.array(secretName).min(1, 'must not be empty'), z.record(secretId, secretName)])
    .optional()
    .describe(
      'Secrets for `RUN --mount=type=secret,id=NAME`: a list of names, or `{ id: name }`. They leave no trace in the image.',
    ),
});

const concurrency = z.union([
  shortText.describe('The group: `deploy-${{ event.branch }}`.'),
  z.strictObject({
    group: shortText.describe('The group: `deploy-${{ event.branch }}`. Capital letters make no difference.'),
    'cancel-in-progress': z
      .boolean()
      .optional()
      .describe(
        'True: a newer one cancels the one that runs. A deployment under way is never cancelled. Default: false.',
      ),
    queue: z
      .enum(['single', 'max'])
      .optional()
      .describe('What waits: only the newest (`single`, the default), or all in the order in which they came (`max`).'),
  }),
]);

export const job = z
  .strictObject({
    name: shortText
      .optional()
      .describe('What people are shown. May use `${{ matrix... }}`. Default: the id and the values of the matrix.'),
    image: shortText.optional().describe('Image in which the commands run: `node:24`. May use `${{ matrix... }}`.'),
    run: z
      .union([text, z.array(z.union([text, step])).min(1, 'must not be empty')])
      .optional()
      .describe(
        'The commands. Each item of a list is a step: a text, also with several lines, or `{ name, run, secrets }`. The first that fails ends the job.',
      ),
    build: build.optional().describe('Builds an image with BuildKit, in place of `image` and `run`.'),
    needs: oneOrMore(z.string())
      .optional()
      .describe('Jobs that must have succeeded before. Their artifacts are in the workspace.'),
    if: z
      .union([text, z.boolean()])
      .optional()
      .describe(
        "Runs the job only if this holds: `event.kind == 'tag'`. An expression on `event`, `matrix` and `needs`.",
      ),
    matrix: matrix.optional(),
    env: z
      .record(variableName, z.union([scalar, sealed]))
      .optional()
      .describe(
        'Variables of the commands. A secret value may stand here sealed: `{ TOKEN: { sealed: "sealed:v1:..." } }`.',
      ),
    secrets: secrets
      .optional()
      .describe(
        'Secrets that the commands get as variables: `[NPM_TOKEN]`, or by variable: `{ TOKEN: npm_token, KEY: { secret: deploy_key, file: true } }`.',
      ),
    environment: environmentName
      .optional()
      .describe('The environment whose secrets the job may have, when the event deploys there.'),
    docker: z
      .boolean()
      .optional()
      .describe('True: the job gets a Docker engine of its own, for `docker build`, `docker run`, `docker compose`.'),
    privileged: z
      .boolean()
      .optional()
      .describe("True: a privileged container. Only where the operator's file allows it."),
    network: z
      .enum(['private', 'host', 'none'])
      .optional()
      .describe(
        "The job's network: its own (`private`, the default), `none`, or the host's (`host`, only where the operator's file allows it).",
      ),
    devices: oneOrMore(text)
      .optional()
      .describe("Devices of the host: `[/dev/kvm]`. Only where the operator's file allows them."),
    volumes: oneOrMore(text)
      .optional()
      .describe(
        "Folders of the host, `/on/the/host:/in/the/job`, with `:ro` to read only. Only where the operator's file allows them.",
      ),
    workdir: text.optional().describe("Folder in which the commands start, relative to the repository's root."),
    shell: z.enum(['sh', 'bash']).optional().describe('Shell that runs the commands. Default: `sh`.'),
    services: z
      .record(hostName, service)
      .optional()
      .describe('Containers beside the job, reached by their names: `{ db: postgres:17 }`.'),
    timeout: duration
      .optional()
      .describe('How long the job may take: `90s`, `10m`, `1h30m`, or a number of minutes. Default 60m, at most 6h.'),
    retry: z
      .int('must be a whole number')
      .min(0, 'must be from 0 to 5')
      .max(5, 'must be from 0 to 5')
      .optional()
      .describe('How often the job starts over by itself if it fails or takes too long: 0 to 5. Default 0.'),
    concurrency: concurrency
      .optional()
      .describe(
        'Of the jobs with this group in the repository, one runs at a time. May use `${{ event... }}` and `${{ matrix... }}`.',
      ),
    'continue-on-error': z.boolean().optional().describe("True: the run doesn't fail if this job does."),
    artifacts: oneOrMore(text).optional().describe('Files handed to the jobs that need this one, as globs: `dist/**`.'),
    reports: z
      .strictObject({
        junit: oneOrMore(text).optional().describe('Test reports in JUnit format, as globs: `reports/*.xml`.'),
      })
      .optional()
      .describe('Files that Slipway reads after the job and shows on the pull request.'),
  })
  .describe('Commands in a container (`image` and `run`), or an image (`build`).');

export const file = z.strictObject({
  jobs: z.record(jobId, job).describe('What runs, by id.'),
  environments: z.record(environmentName, environment).optional().describe('Where images are rolled out, by name.'),
  preview: preview.optional(),
  concurrency: concurrency
    .optional()
    .describe('Of the runs with this group in the repository, one goes on at a time. May use `${{ event... }}`.'),
});

export type RawConcurrency = z.infer<typeof concurrency>;
export type RawSecrets = z.infer<typeof secrets>;
export type RawStep = string | z.infer<typeof step>;
export type RawJob = z.infer<typeof job>;

/** The JSON Schema for editors, as it is published. */
export function jsonSchema(): object {
  const schema = z.toJSONSchema(file, {
    override({ zodSchema, jsonSchema: made }) {
      Object.assign(made, together.get(zodSchema));
      if (zodSchema !== job) return;
      made.oneOf = [
        { required: ['image', 'run'], not: { required: ['build'] } },
        { required: ['build'], not: { anyOf: [{ required: ['image'] }, { required: ['run'] }] } },
      ];
    },
  });
  return {
    ...schema,
    title: 'Slipway pipeline',
    description: 'slipway.yml: the jobs of a repository and the environments they are deployed to.',
  };
}
