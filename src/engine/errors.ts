import { type Outcome, PlatformError, UserError } from '#src/model/outcome.ts';

export function isPlatformError(error: unknown): error is PlatformError {
  return error instanceof PlatformError;
}

/** The job is another server's by now, or was started over: whoever still works on it stops, and stores nothing. */
export class LostJob extends Error {
  override readonly name = 'LostJob';

  constructor() {
    super('The job was taken over by another server.');
  }
}

/** Another process began this very attempt of the job: whoever has the job now goes on with what that one began. */
export class BegunElsewhere extends PlatformError {
  constructor(options: ErrorOptions = {}) {
    super('Another server began the job meanwhile.', options);
  }
}

/** How an error that ended a job is told: the user's fault if an adapter said so, otherwise the platform's. */
export function outcomeOf(error: unknown): Outcome {
  if (error instanceof UserError) return { kind: 'failure', reason: error.message };
  if (error instanceof PlatformError) {
    return { kind: 'broken', reason: error.message, ...(error.retry ? { retry: error.retry } : {}) };
  }
  return {
    kind: 'broken',
    reason: `Slipway itself failed: ${error instanceof Error ? error.message : String(error)}. The server's log has the details; re-run the job, and report it if it comes again.`,
  };
}
