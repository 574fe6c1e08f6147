import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Repository } from '#src/model/repository.ts';
import { faultOf } from './faults.ts';
import type { Asking } from './forge-ask.ts';

const maxComment = 65_536;

/** GitHub delivers an event again for so long; a comment that answers it is no older. */
const redeliveredMs = 4 * 24 * 60 * 60_000;

const commentTries = 3;

/**
 * Comments on a pull request or issue; with a key, once for it. `settleMs`: milliseconds that GitHub may be at work on a
 * comment of which the answer was lost. Throws what Octokit throws.
 */
export async function sayTo(
  ask: Asking,
  settleMs: number,
  at: { readonly repository: Repository; readonly number: number },
  body: string,
  key: string | undefined,
): Promise<void> {
  if (key === undefined) return say(body.slice(0, maxComment));
  const name = createHash('sha256').update(key).digest('hex').slice(0, 32);
  const mark = `\n\n<!-- slipway ${name} -->`;
  for (let tries = 1; !(await isThere(mark.trim())); tries += 1) {
    try {
      return await say(body.slice(0, maxComment - mark.length) + mark);
    } catch (error) {
      if (faultOf(error, Date.now()).kind !== 'transient') throw error;
      // Also before giving up: whoever asks again must find what GitHub is still at work on.
      await sleep(settleMs, undefined, { ref: false });
      if (tries >= commentTries) throw error;
    }
  }

  async function say(text: string): Promise<void> {
    await ask(at.repository, (client, where) =>
      client.rest.issues.createComment({ ...where, issue_number: at.number, body: text }),
    );
  }

  /** Whether the App made a comment with this mark: the answer to its creation may have been lost, also to an earlier process. */
  async function isThere(sought: string): Promise<boolean> {
    const since = new Date(Date.now() - redeliveredMs).toISOString();
    const perPage = 100;
    for (let page = 1; ; page += 1) {
      const list = await ask(at.repository, (client, where) =>
        client.rest.issues.listComments({ ...where, issue_number: at.number, since, per_page: perPage, page }),
      );
      // People can write such a mark, too.
      if (list.data.some((it) => it.user?.type === 'Bot' && it.body?.trimEnd().endsWith(sought))) return true;
      if (list.data.length < perPage) return false;
    }
  }
}
