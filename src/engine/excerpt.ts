import { cleanTerminal, cutBytes, failingPart } from '#src/model/annotations/index.ts';
import type { Job } from '#src/model/run.ts';
import type { Logs } from './ports.ts';

const maxBytes = 48 * 1024;
const tailBytes = 16 * 1024;
/** Of a longer step only this much from its end is looked at. */
const scannedBytes = 4 * 1024 * 1024;

/**
 * The part of a job's log that people want to see first: of a failed job what explains the failure, otherwise its
 * end. Without terminal codes; '' if there is no log.
 */
export async function excerpt(logs: Logs, job: Job): Promise<string> {
  const name = { jobId: job.id, attempt: job.attempt };
  const size = await logs.size(name);
  const kind = job.outcome?.kind;
  if (kind === 'failure' || kind === 'timed_out' || kind === 'broken') {
    const step = job.steps.find((s) => s.exitCode !== null && s.exitCode !== 0);
    const end = step?.logEnd ?? size;
    const start = Math.max(step?.logStart ?? 0, end - scannedBytes);
    return failingPart(await logs.read(name, start, Math.max(end, size)), maxBytes);
  }
  const tail = await logs.read(name, Math.max(0, size - tailBytes), size);
  return cutBytes(cleanTerminal(tail.toString('utf8')), maxBytes);
}
