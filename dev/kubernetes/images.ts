/** What a container with an image does. Each is one of the recorded scenarios. */
export type Behaviour = 'good' | 'crash' | 'notready' | 'slow' | 'missing';

/**
 * Decides by image, and by the pod that it runs in (`namespace/name`). Asked each time that a container is to start, which
 * then waits for the answer.
 */
export type Images = (image: string, pod: string) => Behaviour | Promise<Behaviour>;

/** By tag, as the recordings name them: `demo:crash`; everything else is good. A digest says nothing. */
export function byTag(image: string): Behaviour {
  const tag = /:([\w.-]+)$/.exec(image.replace(/@sha256:.*$/, ''))?.[1] ?? '';
  return tag === 'crash' || tag === 'notready' || tag === 'slow' || tag === 'missing' ? tag : 'good';
}
