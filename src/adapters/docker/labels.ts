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

/**
 * Whose a container or network is, as the name of the job's folder (`jobId-attempt`); null for what is kept ready or
 * helps. A container's name goes before its labels: one kept ready has none of a job, and its image may bring some.
 */
export function ownerOf(labels: Readonly<Record<string, string>>, name: string): string | null {
  const named = /^slipway-job-(.+-\d+)-[0-9a-f]{8}$/.exec(name)?.[1];
  if (named !== undefined) return named;
  const job = labels['slipway.job'];
  return job === undefined || name.startsWith('slipway-idle-') ? null : `${job}-${labels['slipway.attempt'] ?? ''}`;
}
