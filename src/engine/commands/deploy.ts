import { askedBefore, type DeployAsk, requestDeploy } from '#src/engine/deploy/requests.ts';
import { headCommit, namedCommit } from './commit.ts';
import { type Answer, type Context, deploying, done, type Handler } from './context.ts';
import { UserError } from '#src/model/outcome.ts';

/** `/deploy ENV [REF] [-- key=value ...]` */
export const deploy: Handler<'deploy'> = async (context, { environment, ref, params }, request) => {
  const { parts, event, wake } = context;
  // Whoever may not is told so before anything is looked up.
  const spec = await deploying(context, environment);
  const { repository, number, actor } = event;
  // A server that was killed over its answer has done it already, and the head may have moved since.
  const before = await askedBefore(parts, { repository, environment: spec.name, request });
  if (before !== null) return answerOf(before, context, ref !== null);
  const commit = ref === null ? await ownCommit(context, spec.name) : await namedCommit(context, ref);
  const by = { login: actor, via: 'command' } as const;
  const ask: DeployAsk = { repository, environment: spec.name, by, commit, number: null, request, params };
  const asked = await requestDeploy(parts, context.onPullRequest ? { ...ask, number } : ask, wake);
  return answerOf(asked, context, ref !== null);
};

async function ownCommit(context: Context, environment: string): ReturnType<typeof headCommit> {
  if (context.onPullRequest) return await headCommit(context, `/deploy ${environment}`);
  const { defaultBranch } = context.event.repository;
  throw new UserError(
    `On an issue, name what is to be deployed, a branch, tag or commit: \`/deploy ${environment} ${defaultBranch}\`.`,
  );
}

/** What a request answered. It is told in words where no check run of the pull request's head shows it. */
export function answerOf(
  asked: Awaited<ReturnType<typeof requestDeploy>>,
  { onPullRequest }: Context,
  elsewhere: boolean,
): Answer {
  if (asked.kind === 'refused') return { kind: 'refused', reply: asked.message, audited: true };
  return done(`Run ${asked.runId} deploys.`, elsewhere || !onPullRequest ? asked.message : null);
}
