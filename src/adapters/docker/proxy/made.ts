import { createHash } from 'node:crypto';

/** Before the names of all images that jobs made. Nothing is pulled from there or pushed there. */
const IMAGES = 'slipway.local';

/** The label that everything carries that a job made through its own engine, and nothing else. */
export function innerLabel(home: string, owner: string): { readonly name: string; readonly value: string } {
  return { name: 'slipway.inner', value: `${home}/${owner}` };
}

/**
 * What stands before the names of a job's images. Who builds can use any image of the engine whose name he knows: a part
 * of it is a secret. `owner` as `jobFolder`; `nonce` is the job's own.
 */
export function imagePrefix(home: string, owner: string, nonce: string): string {
  const secret = createHash('sha256').update(`images\n${nonce}`).digest('hex').slice(0, 20);
  return `${homePrefix(home)}/${Buffer.from(owner).toString('hex')}-${secret}`;
}

/** Whose image it is, by its name; null if no job of this installation made it. */
export function imageOwner(home: string, tag: string): string | null {
  const start = `${homePrefix(home)}/`;
  if (!tag.startsWith(start)) return null;
  const hex = /^((?:[0-9a-f]{2})+)-[0-9a-f]{20}[/:]/.exec(tag.slice(start.length))?.[1];
  return hex === undefined ? null : Buffer.from(hex, 'hex').toString('utf8');
}

function homePrefix(home: string): string {
  return `${IMAGES}/${createHash('sha256').update(home).digest('hex').slice(0, 12)}`;
}
