import type { JobRequest } from '#src/engine/ports.ts';

/** What is made for a job carries these, beside `slipway.home` (this installation) and `slipway.kind`. */
export function labelsOf(request: JobRequest): Record<string, string> {
  return {
    'slipway.job': request.jobId,
    'slipway.run': request.runId,
    'slipway.attempt': String(request.attempt),
    'slipway.repository': request.repository,
  };
}
