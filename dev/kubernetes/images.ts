/** What a container with an image does. Each is one of the recorded scenarios. */
export type Behaviour = 'good' | 'crash' | 'notready' | 'slow' | 'missing';

/** Decides by image. Asked each time that a container is to start. */
export type Images = (image: string) => Behaviour | Promise<Behaviour>;

/** By tag, as the recordings name them: `demo:crash`; everything else is good. A digest says nothing. */
export function byTag(image: string): Behaviour {
  const tag = /:([\w.-]+)$/.exec(image.replace(/@sha256:.*$/, ''))?.[1] ?? '';
  return tag === 'crash' || tag === 'notready' || tag === 'slow' || tag === 'missing' ? tag : 'good';
}

/**
 * Looks the image up in its registry, over http for local addresses: missing if it isn't there, else what its label
 * `stand-in.behaviour` says, else good.
 */
export async function byRegistry(image: string): Promise<Behaviour> {
  const parsed = /^([^/]+)\/(.+?)(?:@(sha256:[0-9a-f]+)|:([\w.-]+))?$/.exec(image);
  const [, host = '', name = '', digest, tag = 'latest'] = parsed ?? [];
  const scheme = /^(localhost|127\.|\[::1\])/.test(host) ? 'http' : 'https';
  const base = `${scheme}://${host}/v2/${name}`;
  const accept = 'application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json';
  const signal = AbortSignal.timeout(5000);
  const manifest = await fetch(`${base}/manifests/${digest ?? tag}`, { headers: { accept }, signal });
  if (!manifest.ok) return 'missing';
  const { config } = (await manifest.json()) as { config: { digest: string } };
  const blob = await fetch(`${base}/blobs/${config.digest}`, { signal });
  if (!blob.ok) return 'missing';
  const { config: settings } = (await blob.json()) as { config?: { Labels?: Record<string, string> | null } };
  const label = settings?.Labels?.['stand-in.behaviour'];
  return label === 'crash' || label === 'notready' || label === 'slow' ? label : 'good';
}
