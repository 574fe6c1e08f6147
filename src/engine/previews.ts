import { PlatformError } from '#src/model/outcome.ts';
import type { Repository } from '#src/model/repository.ts';
import type { Parts } from './parts.ts';

/** Removes the previews of a pull request; `why` is a sentence. Answers how many went. */
export async function removePreviews(
  _parts: Parts,
  _repository: Repository,
  _number: number,
  _why: string,
): Promise<number> {
  throw new PlatformError('Not there yet.');
}

/** Removes previews whose time is over. To be called now and then. */
export async function expirePreviews(_parts: Parts): Promise<void> {
  throw new PlatformError('Not there yet.');
}
