import type { PreviewWork } from '#src/model/plan.ts';
import { PlatformError } from '#src/model/outcome.ts';
import type { Job, Run } from '#src/model/run.ts';
import type { Parts } from './parts.ts';
import type { Completion } from './track.ts';

export async function runPreview(
  _parts: Parts,
  _run: Run,
  _job: Job,
  _work: PreviewWork,
  _signal: AbortSignal,
  _stop: AbortSignal,
): Promise<Completion> {
  throw new PlatformError('Not there yet.');
}
