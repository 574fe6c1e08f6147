import { imageGroup } from '#src/model/concurrency.ts';
import { EvaluationError, type Value } from '#src/model/evaluate.ts';
import type { Trigger } from '#src/model/event.ts';
import { quote, settle } from '#src/model/expression.ts';
import { expandMatrix, type Instance } from '#src/model/matrix.ts';
import type { BuildSpec, JobSpec, Scalar, ScriptJobSpec } from '#src/model/pipeline.ts';
import type { Concurrency, ImageWork, PlannedJob, ScriptWork } from '#src/model/plan.ts';
import { fillTemplate } from '#src/model/template.ts';
import { concurrencyOf } from './concurrency.ts';

type Contexts = { readonly event: Value; readonly matrix: Readonly<Record<string, Scalar>> };

const MAX_KEY = 200;

/** What templates may still become in this plan: told while they are filled in, as the memory is the server's. */
export interface Room {
  /** Characters. */
  left: number;
  /** What is said when it is used up: a whole sentence. */
  readonly message: string;
}

/** What jobs become instances for. */
export interface Around {
  readonly trigger: Trigger;
  readonly event: Value;
  /** Under which tags the image job with this id pushes. */
  readonly tagsOf: (id: string) => readonly string[];
  /** Names of the environments that the event deploys to: jobs that name one may have its secrets. */
  readonly deployed: readonly string[];
  /** Keys of the jobs that Slipway adds. */
  readonly reserved: readonly string[];
  readonly room: Room;
  readonly strange: boolean | undefined;
}

/**
 * One planned job for each instance of each job, in the order of the file. Takes from `room`. Throws EvaluationError with
 * a whole sentence.
 */
export function planInstances(specs: readonly JobSpec[], around: Around): readonly PlannedJob[] {
  const { trigger, event, tagsOf, deployed, room, strange } = around;
  const taken = new Set(['slipway', ...around.reserved]);
  const instances = specs.flatMap((spec) =>
    expandMatrix(spec.matrix).map((matrix) => {
      const contexts = { event, matrix };
      const key = uniqueKey(
        within(spec.id, 'name', () => keyOf(spec, contexts)),
        taken,
      );
      taken.add(key);
      return { spec, contexts, key };
    }),
  );
  const keys = Map.groupBy(instances, (instance) => instance.spec.id);
  return instances.map(({ spec, contexts, key }) => ({
    key,
    id: spec.id,
    needs: spec.needs.flatMap((id) => keys.get(id)?.map((instance) => instance.key) ?? []),
    ...within(spec.id, 'if', () => settleIf(spec, contexts)),
    matrix: contexts.matrix,
    continueOnError: spec.continueOnError,
    timeoutMinutes: spec.timeoutMinutes,
    retries: spec.retries,
    concurrency:
      within(spec.id, 'concurrency', () => concurrencyOf(spec.concurrency, contexts, trigger, strange)) ??
      (spec.kind === 'image' ? inTurn(spec, trigger, tagsOf(spec.id)) : null),
    priority: 0,
    work:
      spec.kind === 'script'
        ? scriptWork(spec, contexts, deployed, room)
        : imageWork(spec.id, spec.build, contexts, tagsOf(spec.id), room),
  }));
}

/** A push and a tag of one commit build its image once, if they come at once as well. */
function inTurn({ id, matrix }: JobSpec, { sha }: Trigger, tags: readonly string[]): Concurrency | null {
  if (tags.length === 0 || matrix !== null) return null;
  return { group: imageGroup(sha, id), cancelInProgress: false, queue: 'max' };
}

function settleIf(spec: JobSpec, contexts: Contexts): Pick<PlannedJob, 'if' | 'skip'> {
  if (spec.if === null) return { if: null, skip: null };
  const answer = settle(spec.if, contexts);
  if (answer === 'later') return { if: spec.if, skip: null };
  return { if: null, skip: answer ? null : `The condition ${quote(spec.if)} is false for this event.` };
}

/** `test`, `test (node 24, os debian)`, or the name that the file gives. */
function keyOf(spec: JobSpec, contexts: Contexts): string {
  const values = describe(contexts.matrix);
  if (spec.name === null) return `${spec.id}${values}`;
  const name = fillTemplate(spec.name, contexts).replaceAll(/\s+/g, ' ').trim() || spec.id;
  return spec.name.includes('${{') ? name : `${name}${values}`;
}

function describe(matrix: Instance): string {
  const values = Object.entries(matrix).map(([key, value]) => `${key} ${value}`);
  return values.length === 0 ? '' : ` (${values.join(', ')})`;
}

function uniqueKey(wanted: string, taken: ReadonlySet<string>): string {
  const key = wanted.length > MAX_KEY ? `${wanted.slice(0, MAX_KEY - 1)}…` : wanted;
  for (let number = 2, next = key; ; number += 1) {
    if (!taken.has(next)) return next;
    next = `${key} #${number}`;
  }
}

function scriptWork(spec: ScriptJobSpec, contexts: Contexts, deployed: readonly string[], room: Room): ScriptWork {
  const fill = (what: string, text: string) => within(spec.id, what, () => take(room, fillTemplate(text, contexts)));
  // Commands see the matrix alone: whatever comes from outside reaches them as a variable, which is never run.
  const { matrix } = contexts;
  return {
    kind: 'script',
    image: fill('image', spec.image),
    steps: spec.steps.map((step) => ({
      name: within(spec.id, 'run', () => take(room, nameOf(step.name, matrix))),
      script: within(spec.id, 'run', () => take(room, fillTemplate(step.script, { matrix }))),
      ...(step.secrets === undefined ? {} : { secrets: step.secrets }),
    })),
    env: mapValues(spec.env, (name, value) => fill(`env.${name}`, value)),
    workdir: spec.workdir === null ? null : checkedFolder(spec.id, fill('workdir', spec.workdir)),
    shell: spec.shell,
    services: spec.services.map((service) => ({
      ...service,
      image: fill(`services.${service.name}.image`, service.image),
      env: mapValues(service.env, (name, value) => fill(`services.${service.name}.env.${name}`, value)),
    })),
    artifacts: spec.artifacts,
    reports: spec.reports,
    ...(spec.secrets === undefined ? {} : { secrets: spec.secrets }),
    ...(spec.environment !== undefined && deployed.includes(spec.environment) ? { environment: spec.environment } : {}),
    ...(spec.docker === undefined ? {} : { docker: spec.docker }),
    ...(spec.access === undefined ? {} : { access: spec.access }),
  };
}

function imageWork(id: string, build: BuildSpec, contexts: Contexts, tags: readonly string[], room: Room): ImageWork {
  const fill = (what: string, text: string) => within(id, what, () => take(room, fillTemplate(text, contexts)));
  return {
    kind: 'image',
    build: {
      ...build,
      image: build.image === null ? null : fill('build.image', build.image),
      args: mapValues(build.args, (name, value) => fill(`build.args.${name}`, value)),
    },
    tags: build.image === null ? [] : tags,
  };
}

function take(room: Room, text: string): string {
  room.left -= text.length;
  if (room.left < 0) throw new EvaluationError(room.message);
  return text;
}

/** A step's name may be cut in the middle of an expression; then it stays as it is written. */
function nameOf(name: string, matrix: Instance): string {
  const opens = name.split('${{').length - 1;
  return opens === name.split('}}').length - 1 ? fillTemplate(name, { matrix }) : name;
}

/** A folder made of a matrix value can still lead out of the repository. */
function checkedFolder(id: string, folder: string): string {
  if (folder.startsWith('/') || folder.split('/').includes('..')) {
    throw new EvaluationError(`workdir of the job "${id}" leads out of the repository: "${folder}".`);
  }
  return folder;
}

function mapValues(
  values: Readonly<Record<string, string>>,
  fill: (key: string, value: string) => string,
): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, fill(key, value)]));
}

/** Says where an expression stands that can't be evaluated. */
function within<T>(id: string, what: string, evaluate: () => T): T {
  try {
    return evaluate();
  } catch (error) {
    if (!(error instanceof EvaluationError) || error.message.endsWith('.')) throw error;
    throw new EvaluationError(`${what} of the job "${id}" can't be evaluated: ${error.message}.`);
  }
}
