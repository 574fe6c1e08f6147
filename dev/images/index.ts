import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import Docker from 'dockerode';
import { fillRoot, type ImageName, recipes } from './recipes.ts';

export type { ImageName } from './recipes.ts';

export const imageNames = Object.keys(recipes) as readonly ImageName[];

const recipeLabel = 'dev.slipway.recipe';
const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Makes a small base image out of this machine's own programs, so that tests and the demo need no registry.
 * Answers with the image's name; does nothing if the image is there and made by the same recipe.
 */
export async function ensureImage(name: ImageName, docker: Docker = new Docker()): Promise<string> {
  const hash = recipeHash(recipes[name].version());
  const present = await inspect(docker, name);
  if (present?.recipe !== hash) {
    await make(docker, name, hash);
    // What the name stood for before is of no use any more; it stays if something runs in it.
    if (present)
      await docker
        .getImage(present.id)
        .remove()
        .catch(() => {});
  }
  return name;
}

async function make(docker: Docker, name: ImageName, hash: string): Promise<void> {
  const { root, dispose } = fillRoot(name);
  try {
    const changes = [`LABEL ${recipeLabel}=${hash}`, `ENV ${path}`, ...recipes[name].changes].join('\n');
    // The types ask for a file's name, the engine takes a stream as well.
    const reply = await docker.importImage(root.pack() as unknown as string, { repo: name, tag: 'latest', changes });
    let answer = '';
    for await (const chunk of reply) answer += String(chunk);
    if (answer.includes('"error"')) throw new Error(`The engine doesn't take the image ${name}: ${answer}`);
  } finally {
    dispose();
  }
}

async function inspect(docker: Docker, name: string): Promise<{ readonly id: string; readonly recipe: string } | null> {
  try {
    const image = await docker.getImage(name).inspect();
    return { id: image.Id, recipe: image.Config.Labels?.[recipeLabel] ?? '' };
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode === 404) return null;
    throw error;
  }
}

function recipeHash(version: string): string {
  const hash = createHash('sha256').update(version).update(process.arch);
  for (const file of ['index.ts', 'recipes.ts', 'root.ts']) hash.update(readFileSync(new URL(file, import.meta.url)));
  return hash.digest('hex').slice(0, 16);
}
