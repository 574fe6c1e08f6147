import { manifestKind } from './manifest-kinds.ts';
import { type Fields, fieldsOf, isFields, listOf, type Value, valueAt, withValueAt } from './manifest-value.ts';

/** Names (without tag and digest) of the images of an object's containers. */
export function imagesIn(object: Fields): readonly string[] {
  const template = manifestKind(object['kind'])?.template;
  if (!template) return [];
  return lists.flatMap((key) =>
    listOf(valueAt(object, [...template, 'spec', key])).flatMap((it) => {
      const { image } = fieldsOf(it);
      return typeof image === 'string' ? [imageName(image)] : [];
    }),
  );
}

/** The object with the images of the named ones replaced, as kustomize does it: whatever their tag or digest is. */
export function withImages(object: Fields, images: Readonly<Record<string, string>>): Value {
  const template = manifestKind(object['kind'])?.template;
  if (!template) return object;
  const replace = (it: Value): Value => {
    if (!isFields(it) || typeof it['image'] !== 'string') return it;
    const name = imageName(it['image']);
    const image = Object.hasOwn(images, name) ? images[name] : undefined;
    return image === undefined ? it : { ...it, image };
  };
  return withValueAt(object, [...template, 'spec'], (spec) => {
    const fields = fieldsOf(spec);
    const replaced = lists
      .filter((key) => Array.isArray(fields[key]))
      .map((key) => [key, listOf(fields[key]).map(replace)] as const);
    return { ...fields, ...Object.fromEntries(replaced) };
  });
}

/** `ghcr.io:443/acme/shop:v1@sha256:...` -> `ghcr.io:443/acme/shop`. */
export function imageName(image: string): string {
  const name = image.split('@', 1)[0] ?? '';
  const colon = name.lastIndexOf(':');
  return colon > name.lastIndexOf('/') ? name.slice(0, colon) : name;
}

const lists = ['containers', 'initContainers'] as const;
