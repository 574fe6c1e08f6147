import type { PreviewCluster, PreviewRequest } from '#src/engine/ports-deploy.ts';
import { UserError } from '#src/model/outcome.ts';
import type { RolloutTarget } from '#src/model/pipeline.ts';

export interface FakePreviews extends PreviewCluster {
  /** What stands, by namespace: `Deployment api=image`, `Service api`. */
  readonly standing: ReadonlyMap<string, readonly string[]>;
  /** `apply NAMESPACE`, `remove NAMESPACE`, in order. */
  readonly calls: readonly string[];
  /** What every call throws, as long as it is set. */
  failure: Error | null;
}

interface Applied {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec?: {
    readonly template?: { readonly spec?: { readonly containers?: readonly { name: string; image: string }[] } };
  };
}

/** Namespaces in memory. `onApply` lets a test show the workloads in its FakeCluster. */
export function createFakePreviews(
  options: {
    readonly onApply?: (target: RolloutTarget, image: string) => void;
    readonly before?: (call: string) => void | Promise<void>;
  } = {},
): FakePreviews {
  const standing = new Map<string, readonly string[]>();
  const owners = new Map<string, string>();
  const calls: string[] = [];

  async function enter(
    call: string,
    at: Pick<PreviewRequest, 'namespace' | 'repository' | 'number'>,
    signal: AbortSignal,
  ) {
    signal.throwIfAborted();
    calls.push(`${call} ${at.namespace}`);
    await options.before?.(`${call} ${at.namespace}`);
    if (previews.failure) throw previews.failure;
    const owner = owners.get(at.namespace);
    if (owner !== undefined && owner !== `${at.repository}#${at.number}`) {
      throw new UserError(`The namespace ${at.namespace} is not the preview of ${at.repository}#${at.number}.`);
    }
  }

  const previews: FakePreviews = {
    standing,
    calls,
    failure: null,
    async apply(request, signal) {
      await enter('apply', request, signal);
      const { namespace, cluster } = request;
      owners.set(namespace, `${request.repository}#${request.number}`);
      const targets: RolloutTarget[] = [];
      const lines: string[] = [];
      for (const { kind, metadata, spec } of request.objects as unknown as readonly Applied[]) {
        const [first] = spec?.template?.spec?.containers ?? [];
        lines.push(`${kind} ${metadata.name}${first ? `=${first.image}` : ''}`);
        if (kind !== 'Deployment' || !first) continue;
        const { name } = metadata;
        const target: RolloutTarget = {
          kind: 'deployment',
          cluster,
          namespace,
          name,
          container: first.name,
          image: '',
        };
        targets.push(target);
        options.onApply?.(target, first.image);
      }
      standing.set(namespace, lines);
      return targets;
    },
    async remove(at, signal) {
      await enter('remove', at, signal);
      standing.delete(at.namespace);
      owners.delete(at.namespace);
    },
  };
  return previews;
}
