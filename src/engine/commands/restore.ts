import { requestPromote, requestRollback } from '#src/engine/deploy/requests.ts';
import type { Context, Handler } from './context.ts';
import { answerOf } from './deploy.ts';

/** `/rollback ENV [N|SHA|TAG] [--force]`: no file and no pull request is looked up, for somebody is in a hurry. */
export const rollback: Handler<'rollback'> = async (context, { environment, to, force }, request) => {
  const ask = { ...common(context), environment, to, request, overLock: force };
  return answerOf(await requestRollback(context.parts, ask, context.wake), context, true);
};

/** `/promote FROM TO` */
export const promote: Handler<'promote'> = async (context, { from, to }, request) => {
  const ask = { ...common(context), from, to, request };
  return answerOf(await requestPromote(context.parts, ask, context.wake), context, true);
};

function common({ event, onPullRequest }: Context) {
  const { repository, actor, number } = event;
  return { repository, by: { login: actor, via: 'command' }, number: onPullRequest ? number : null } as const;
}
