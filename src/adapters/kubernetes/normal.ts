import type { WorkloadKind } from '#src/model/pipeline.ts';
import { UserError } from '#src/model/outcome.ts';
import type { RawDeploymentConfig, RawRollout, Workload } from './objects.ts';

/**
 * The workload in the form that all kinds share. `referenced`: the Deployment that holds an Argo Rollout's template, if it
 * names one; then both must have been taken up, so generations are added. Throws TypeError where an object isn't what the
 * API documents.
 */
export function normal(kind: WorkloadKind, raw: unknown, referenced: Workload | null): Workload {
  if (kind === 'deploymentconfig') return ofDeploymentConfig(raw as RawDeploymentConfig);
  return kind === 'rollout' ? ofRollout(raw as RawRollout, referenced) : (raw as Workload);
}

function ofDeploymentConfig(raw: RawDeploymentConfig): Workload {
  const { spec, ...rest } = raw;
  const template = spec.template ?? { spec: { containers: [] } };
  return { ...rest, spec: { ...spec, selector: { matchLabels: spec.selector ?? {} }, template } };
}

function ofRollout(raw: RawRollout, referenced: Workload | null): Workload {
  const { spec, status = {}, metadata } = raw;
  const template = referenced?.spec.template ?? spec.template ?? { spec: { containers: [] } };
  const selector = spec.selector ?? referenced?.spec.selector ?? {};
  const generation = numeric(metadata.generation) + numeric(referenced?.metadata.generation);
  const observed = numeric(status.observedGeneration) + (referenced ? numeric(status.workloadObservedGeneration) : 0);
  return {
    ...raw,
    metadata: { ...metadata, generation },
    spec: { ...spec, template, selector },
    status: { ...status, observedGeneration: observed },
  };
}

/** The Rollout's controller writes generations as texts; what isn't one was never observed. */
function numeric(generation: string | number | undefined): number {
  const value = Number(generation);
  return Number.isSafeInteger(value) && value > 0 ? value : 0;
}

/** Refuses a DeploymentConfig in which setting the image would do nothing, or would be undone. */
export function refuseTriggers(raw: unknown, name: string, container: string): void {
  const triggers = (raw as RawDeploymentConfig).spec.triggers ?? null;
  if (triggers === null) return;
  if (!triggers.some((it) => it.type === 'ConfigChange')) {
    throw new UserError(
      `deploymentconfig ${name} has no ConfigChange trigger, so a new image would roll nothing. Add it: oc set triggers dc/${name.split('/').at(-1)} --from-config`,
    );
  }
  const images = triggers.filter((it) => it.type === 'ImageChange' && it.imageChangeParams?.automatic === true);
  if (images.some((it) => it.imageChangeParams?.containerNames?.includes(container))) {
    throw new UserError(
      `deploymentconfig ${name} takes the image of container ${container} from an ImageStream (an automatic ImageChange trigger), which would undo what Slipway sets. Remove that trigger.`,
    );
  }
}
