import type { PeopleRule } from '#src/model/deploy-rules.ts';
import { PlatformError } from '#src/model/outcome.ts';
import type { Repository } from '#src/model/repository.ts';
import type { Parts } from '#src/engine/parts.ts';

/**
 * Why this person may not deploy to the environment, by the operator's rule and the environment's, as GitHub reports
 * roles and teams now; null if they may. `allow` null: write permission is needed. Throws PlatformError if GitHub fails.
 */
export async function refusePerson(
  _parts: Pick<Parts, 'forge' | 'policy'>,
  _repository: Repository,
  _environment: string,
  _allow: PeopleRule | null,
  _login: string,
): Promise<string | null> {
  throw new PlatformError('Not there yet.');
}
