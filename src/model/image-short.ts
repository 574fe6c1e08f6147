import { digestOf } from './deploy/order.ts';

/** The images that a deployment brought, each once. One by commits in another repository has no workloads. */
export function imagesBrought(deployment: {
  readonly changes: readonly { readonly after: string }[];
  readonly details: { readonly images?: Readonly<Record<string, string>> };
}): readonly string[] {
  const { changes, details } = deployment;
  const images = changes.length > 0 ? changes.map(({ after }) => after) : Object.values(details.images ?? {});
  return [...new Set(images.filter((image) => image !== ''))];
}

/** `shop@1a2b3c4d5e6f` or `shop:1.4`: an image as people tell it from others. */
export function shortImage(image: string): string {
  const last = image.slice(image.lastIndexOf('/') + 1);
  const digest = digestOf(image);
  if (digest === null) return last;
  const name = last.slice(0, last.indexOf('@')).replace(/:.*/, '');
  return `${name}@${digest.slice(digest.indexOf(':') + 1).slice(0, 12)}`;
}
