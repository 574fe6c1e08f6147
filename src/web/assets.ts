import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Router } from 'express';

const types = {
  'style.css': 'text/css; charset=utf-8',
  'page.js': 'text/javascript; charset=utf-8',
  'icon.svg': 'image/svg+xml',
} as const;

type Name = keyof typeof types;

export interface Assets {
  /** Path that changes with the contents, so that it may be cached for ever. */
  url(name: Name): string;
  readonly router: Router;
}

/** The few files of the pages, read once. */
export function loadAssets(): Assets {
  const router = Router();
  const urls = new Map<Name, string>();
  for (const name of Object.keys(types) as Name[]) {
    const bytes = readFileSync(new URL(`assets/${name}`, import.meta.url));
    const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 12);
    const [stem, ending] = name.split('.');
    const url = `/assets/${stem}.${hash}.${ending}`;
    urls.set(name, url);
    router.get(url, (_request, response) => {
      response.set('Cache-Control', 'public, max-age=31536000, immutable').type(types[name]).send(bytes);
    });
  }
  return { url: (name) => urls.get(name) ?? '', router };
}
