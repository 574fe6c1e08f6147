import { maskText } from '#src/model/mask.ts';
import { type Outcome, PlatformError, UserError } from '#src/model/outcome.ts';
import { BegunElsewhere, LostJob } from './errors.ts';
import type { Completion } from './track.ts';

/** What a job ended with, as it may be stored and shown. */
export function maskCompletion(completion: Completion, secrets: readonly string[]): Completion {
  const hide = (text: string) => maskText(text, secrets);
  const { annotations, tests } = completion;
  return {
    ...completion,
    outcome: maskOutcome(completion.outcome, secrets),
    ...(annotations === undefined
      ? {}
      : {
          annotations: annotations.map((it) => ({
            ...it,
            path: hide(it.path),
            message: hide(it.message),
            ...(it.title === undefined ? {} : { title: hide(it.title) }),
          })),
        }),
    ...(tests == null ? {} : { tests: { ...tests, failures: tests.failures.map(hide) } }),
  };
}

export function maskOutcome(outcome: Outcome, secrets: readonly string[]): Outcome {
  return outcome.kind === 'success' ? outcome : { ...outcome, reason: maskText(outcome.reason, secrets) };
}

/** The same error, or one of its kind with the values hidden: without a cause, which a log would print. */
export function maskError(error: unknown, secrets: readonly string[]): unknown {
  if (!(error instanceof Error) || error instanceof BegunElsewhere || error instanceof LostJob) return error;
  const message = maskText(error.message, secrets);
  if (message === error.message) return error;
  if (error instanceof UserError) return new UserError(message);
  if (error instanceof PlatformError) return new PlatformError(message, error.retry ? { retry: error.retry } : {});
  return new Error(message);
}
