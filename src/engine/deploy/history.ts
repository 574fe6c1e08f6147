import type { RolloutTarget } from '#src/model/pipeline.ts';
import type { RolloutChange } from '#src/model/rollout-change.ts';
import type { Parts } from '#src/engine/parts.ts';
import type { RolloutItem } from '#src/engine/rollout.ts';
import type { DeploymentRecord } from '#src/engine/store-deployments.ts';

/** How many of the environment's deployments are looked through. */
const depth = 100;

/**
 * Adds to each target the image that an earlier attempt found there, and the last that was healthy there as far as Slipway
 * knows: of this container of this workload in this cluster, whatever else was deployed since.
 */
export async function withHistory(
  parts: Parts,
  record: DeploymentRecord,
  items: readonly RolloutItem[],
): Promise<readonly RolloutItem[]> {
  const past = await parts.store.deployments.list(record.repositoryId, record.environment, depth);
  const others = past.filter((it) => it.id !== record.id && (it.state === 'success' || it.state === 'inactive'));
  // What somebody rolled back from was healthy for the cluster only: it is the last resort.
  const healthy = [...others.filter((it) => !it.details.rolledBack), ...others.filter((it) => it.details.rolledBack)];
  return items.map((item) => ({
    ...item,
    before: record.changes.find((it) => concerns(it, item.target))?.before ?? null,
    lastHealthy: lastOf(healthy, item.target),
  }));
}

function lastOf(records: readonly DeploymentRecord[], target: RolloutTarget): string | null {
  for (const { changes } of records) {
    const change = changes.find((it) => concerns(it, target));
    if (change) return change.after;
  }
  return null;
}

/** Records of older versions name the workload only. */
function concerns(change: RolloutChange, target: RolloutTarget): boolean {
  return (
    change.workload === `${target.namespace}/${target.name}` &&
    (change.container === undefined || change.container === target.container) &&
    (change.kind === undefined || change.kind === target.kind) &&
    (change.cluster === undefined || change.cluster === target.cluster)
  );
}
