import type { Owned, Store } from '#src/engine/store.ts';
import type { Trigger } from '#src/model/event.ts';
import { plannedOf } from '#test/model/samples.ts';
import type { PlannedJob } from '#src/model/plan.ts';
import type { Repository } from '#src/model/repository.ts';

export function repositoryNamed(name: string, id: number): Repository {
  const [owner = '', short = ''] = name.split('/');
  return {
    id,
    owner,
    name: short,
    defaultBranch: 'main',
    private: true,
    cloneUrl: `https://github.example/${name}.git`,
    installationId: 4_294_967_299,
  };
}

/** GitHub's ids go past 32 bits, and JavaScript's bit operators with them. */
export const shop = repositoryNamed('Acme/Shop', 8_589_934_593);

export function push(sha: string, branch = 'main'): Trigger {
  return { kind: 'push', sha, ref: `refs/heads/${branch}`, branch, actor: 'ada', title: 'Größe prüfen 🚢' };
}

export function pullRequest(sha: string, number: number, branch: string, fork = false): Trigger {
  return {
    kind: 'pull_request',
    sha,
    ref: `refs/pull/${number}/head`,
    number,
    branch,
    base: 'main',
    fork,
    actor: 'bob',
    title: 'A change',
  };
}

export function deploy(sha: string, request: string): Trigger {
  return {
    kind: 'deploy',
    sha,
    ref: 'refs/heads/main',
    environment: 'staging',
    branch: 'main',
    number: 7,
    request,
    actor: 'ada',
    title: 'x',
  };
}

export function planned(key: string, kind: 'script' | 'deploy' = 'script'): PlannedJob {
  if (kind === 'script') return plannedOf(key);
  return plannedOf(key, { work: { kind, environment: 'staging', url: null, rollout: [] } });
}

/** A run that is planned with these jobs; answers its id and those of its jobs. */
export async function plannedRun(store: Store, trigger: Trigger, jobs: readonly PlannedJob[], at = 1000) {
  const { run } = await store.runs.create({ repository: shop, trigger, pullRequest: null, at });
  await store.runs.plan(run.id, { jobs, diagnostics: [], concurrency: null, pipelineFile: 'slipway.yml', at });
  const view = await store.runs.view(run.id);
  return { id: run.id, jobs: (view?.jobs ?? []).map((job) => job.id) };
}

/** A job in its first attempt, claimed by `worker`. */
export function owned(jobId: string): Owned {
  return { jobId, attempt: 1, worker: 'worker' };
}
