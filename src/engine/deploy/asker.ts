import type { Job, Run } from '#src/model/run.ts';

/** Whose wish a job of a deployment is: of who ran it again last (`again`), else of who asked for the run or caused it. */
export function askerOf(
  { trigger }: Pick<Run, 'trigger'>,
  { earlier }: Pick<Job, 'earlier'>,
): { readonly login: string; readonly again: boolean } {
  const login = earlier.findLast((attempt) => attempt.by === 'person' && attempt.login !== undefined)?.login;
  return login === undefined ? { login: trigger.actor, again: false } : { login, again: true };
}
