import type { ImageStore } from '#src/engine/store.ts';
import type { Database } from './schema.ts';

export function imageStore(db: Database): ImageStore {
  return {
    async record(image) {
      await db
        .insertInto('images')
        .values({
          repository_id: image.repositoryId,
          sha: image.sha,
          job: image.job,
          image: image.image,
          tags: JSON.stringify(image.tags),
          at: image.at,
        })
        .onConflict((conflict) =>
          conflict.columns(['repository_id', 'sha', 'job']).doUpdateSet((eb) => ({
            image: eb.ref('excluded.image'),
            tags: eb.ref('excluded.tags'),
            at: eb.ref('excluded.at'),
          })),
        )
        .execute();
    },

    async find(repositoryId, sha, job) {
      const row = await db
        .selectFrom('images')
        .selectAll()
        .where('repository_id', '=', repositoryId)
        .where('sha', '=', sha)
        .where('job', '=', job)
        .executeTakeFirst();
      if (!row) return null;
      return { repositoryId, sha, job, image: row.image, tags: JSON.parse(row.tags), at: row.at };
    },
  };
}
