import type { Behaviour, Images } from '#dev/kubernetes/images.ts';
import { imageBefore } from './releases.ts';

/** Pods that don't start until they may: so a rollout stands where a test wants it. */
export interface Holds {
  /** For the small Kubernetes. */
  readonly images: Images;
  /** Pods of this Deployment with the image that it had at first (`old`) or another (`new`) do this from now on. */
  behave(deployment: string, version: 'old' | 'new', behaviour: Behaviour): void;
  /** They don't start from now on, until all are let go. */
  hold(deployment: string, version: 'old' | 'new'): void;
  letGo(): void;
}

export function openHolds(): Holds {
  const behaviours = new Map<string, Behaviour>();
  const held = new Set<string>();
  const { promise: free, resolve: letGo } = Promise.withResolvers<void>();
  return {
    async images(image, pod) {
      const key = `${pod.replace(/-[0-9a-f]+-[0-9a-f]+$/, '')} ${image === imageBefore ? 'old' : 'new'}`;
      if (held.has(key)) await free;
      return behaviours.get(key) ?? 'good';
    },
    behave: (deployment, version, behaviour) => void behaviours.set(`${deployment} ${version}`, behaviour),
    hold: (deployment, version) => void held.add(`${deployment} ${version}`),
    letGo: () => letGo(),
  };
}
