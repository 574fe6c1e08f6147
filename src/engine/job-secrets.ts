import { PlatformError, UserError } from '#src/model/outcome.ts';
import type { PlannedJob, Work } from '#src/model/plan.ts';
import type { Job, Run } from '#src/model/run.ts';
import { type GivenSecret, type SecretUse, SHORTEST_SECRET } from '#src/model/secret.ts';
import { isStrange } from '#src/model/trust.ts';
import { refuseSecrets } from './deploy/secrets.ts';
import type { Parts } from './parts.ts';
import type { SecretQuery } from './ports.ts';

/** What a job gets of secrets, and what follows from it. */
export interface JobSecretValues {
  /** For a script job. */
  readonly given: readonly GivenSecret[];
  /** For an image job: values by id. */
  readonly byId: Readonly<Record<string, string>>;
  /** Everything that the job may not show: the operator's values, its own and those that they replaced lately, and of the jobs before. */
  readonly hidden: readonly string[];
  /** For the head of the job's log. */
  readonly notes: readonly string[];
}

/** Where a value goes; `secret` is a name or a sealed text. */
interface Wish extends Omit<GivenSecret, 'value'> {
  readonly secret: { readonly name: string } | { readonly sealed: string };
}

/**
 * Reads what the job names, and nothing of a stranger's run. UserError if a secret is missing, limited to something else, or
 * sealed for another repository, or if who caused the run may not deploy to the environment of the job.
 */
export async function secretsFor(parts: Parts, run: Run, job: Job): Promise<JobSecretValues> {
  const { plan } = job;
  const { work } = plan;
  const wishes = wishesOf(work);
  if (isStrange(run) && wishes.length > 0) {
    const names = [...new Set(wishes.map(wishWords))];
    const note = `Slipway: secrets withheld (a stranger's commit): ${names.join(', ')}`;
    return { given: [], byId: {}, hidden: parts.limits.secrets, notes: [note] };
  }
  const others = await hiddenBefore(parts, run, plan);
  if (wishes.length === 0) return { given: [], byId: {}, hidden: others, notes: [] };
  const refusal = await refuseSecrets(parts, run, job);
  if (refusal !== null) throw new UserError(`The environment's secrets are for who may deploy there. ${refusal}`);
  const query = { ...queryOf(run, work), deploysTo: await deploysTo(parts, run) };
  const named = await parts.secrets.values(query, namesOf(wishes));
  const filled: { readonly wish: Wish; readonly value: string }[] = [];
  for (const wish of wishes) filled.push({ wish, value: await valueOf(parts, run, named, wish) });
  const values = filled.map(({ value }) => value);
  const short = filled.filter(({ value }) => value.trim().length < SHORTEST_SECRET).map(({ wish }) => wish.variable);
  return {
    given: work.kind === 'script' ? filled.map(({ wish, value }) => given(wish, value)) : [],
    byId: work.kind === 'image' ? Object.fromEntries(filled.map(({ wish, value }) => [wish.variable, value])) : {},
    hidden: [...new Set([...others, ...values, ...(await parts.secrets.former(query, namesOf(wishes)))])],
    notes: [...new Set(short)].map(
      (name) =>
        `Slipway: the value of ${name} has less than ${SHORTEST_SECRET} characters: it can't be masked, and shows wherever it is printed.`,
    ),
  };
}

/**
 * What a job that began earlier may not show. PlatformError if a value that it may have can't be told any more: then its
 * log can't be shown.
 */
export async function hiddenOf(parts: Parts, run: Run, { plan }: Job): Promise<readonly string[]> {
  if (isStrange(run)) return parts.limits.secrets;
  const { work } = plan;
  const query = queryOf(run, work);
  const values: string[] = [];
  for (const wish of wishesOf(work)) {
    const found = await valuesNow(parts, run, query, wish);
    if (found.length === 0) {
      throw new PlatformError(
        `The job can't be followed on: the secret for ${wish.variable} is gone since it began, so that its log can't be masked.`,
        { retry: 'once' },
      );
    }
    values.push(...found);
  }
  const others = await hiddenBefore(parts, run, plan);
  return values.length === 0 ? others : [...new Set([...others, ...values])];
}

/** What the jobs before may have put into what this one gets of them; the operator's values in any case. */
async function hiddenBefore(parts: Parts, run: Run, plan: PlannedJob): Promise<readonly string[]> {
  return plan.needs.length === 0 ? parts.limits.secrets : await hiddenInRun(parts, run);
}

/** What any job of the run may have, as far as it can be told. Never fails: a deployment doesn't depend on it. */
export async function hiddenInRun(parts: Parts, run: Run): Promise<readonly string[]> {
  if (isStrange(run)) return parts.limits.secrets;
  const view = await parts.store.runs.view(run.id).catch(() => null);
  const values: string[] = [];
  for (const { plan } of view?.jobs ?? []) {
    for (const wish of wishesOf(plan.work)) {
      const found = await valuesNow(parts, run, queryOf(run, plan.work), wish).catch(() => []);
      values.push(...found);
    }
  }
  return values.length === 0 ? parts.limits.secrets : [...new Set([...parts.limits.secrets, ...values])];
}

function given({ variable, file, steps }: Wish, value: string): GivenSecret {
  return { variable, file, steps, value };
}

async function valuesNow(parts: Parts, run: Run, query: SecretQuery, wish: Wish): Promise<readonly string[]> {
  const names = namesOf([wish]);
  const found: string[] = [];
  try {
    found.push(await valueOf(parts, run, await parts.secrets.values(query, names), wish));
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
  }
  return [...found, ...(await parts.secrets.former(query, names))];
}

async function valueOf(parts: Parts, run: Run, named: ReadonlyMap<string, string>, wish: Wish): Promise<string> {
  const { secret } = wish;
  if ('sealed' in secret) {
    try {
      return await parts.secrets.unseal(run.repository, secret.sealed);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      throw new UserError(`The variable ${wish.variable}: ${error.message}`, { cause: error });
    }
  }
  const value = named.get(secret.name);
  if (value === undefined) throw new UserError(`There is no secret ${secret.name}.`);
  return value;
}

function wishesOf(work: Work): readonly Wish[] {
  switch (work.kind) {
    case 'script': {
      const { named = {}, sealed = {} } = work.secrets ?? {};
      return [
        ...wishes(named, null),
        ...Object.entries(sealed).map(([variable, text]) => ({
          variable,
          file: false,
          steps: null,
          secret: { sealed: text },
        })),
        ...work.steps.flatMap((step, index) => wishes(step.secrets ?? {}, [index])),
      ];
    }
    case 'image':
      return Object.entries(work.build.secrets ?? {}).map(([variable, name]) => ({
        variable,
        file: true,
        steps: null,
        secret: { name },
      }));
    case 'deploy':
    case 'preview':
    case 'plan':
      return [];
  }
}

function wishes(uses: Readonly<Record<string, SecretUse>>, steps: readonly number[] | null): readonly Wish[] {
  return Object.entries(uses).map(([variable, { name, file }]) => ({ variable, file, steps, secret: { name } }));
}

/** The secret's name, with the variable's if that is another. What is sealed has none. */
function wishWords({ secret, variable }: Wish): string {
  if ('sealed' in secret) return `${variable} (sealed)`;
  return secret.name === variable ? variable : `${secret.name} (${variable})`;
}

/** The environments to which the run deploys. Never fails: it is for the words of a refusal only. */
async function deploysTo(parts: Parts, run: Run): Promise<readonly string[]> {
  if (run.trigger.kind === 'deploy') return [run.trigger.environment];
  const view = await parts.store.runs.view(run.id).catch(() => null);
  return (view?.jobs ?? []).flatMap(({ plan }) => (plan.work.kind === 'deploy' ? [plan.work.environment] : []));
}

function namesOf(wishes: readonly Wish[]): readonly string[] {
  return [...new Set(wishes.flatMap(({ secret }) => ('name' in secret ? [secret.name] : [])))];
}

function queryOf({ repository, trigger }: Run, work: Work): SecretQuery {
  return { repository, trigger, environment: work.kind === 'script' ? (work.environment ?? null) : null };
}
