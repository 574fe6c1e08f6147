import type { Logger } from 'pino';
import type { ToldStore } from '#src/engine/store.ts';
import type { Job, Run } from '#src/model/run.ts';
import type { GitHub } from './github.ts';
import type { Teller } from './place.ts';
import type { Deployed } from './report/deployed.ts';
import type { InTurn } from './tell-comment.ts';

/** What the tellings of all runs share. */
export interface Telling {
  readonly github: Pick<GitHub, 'appId' | 'client'>;
  readonly told: ToldStore;
  readonly detailsUrl: (run: Run, job: Job | null) => string;
  readonly excerpt: (job: Job) => Promise<string>;
  readonly deployed: (run: Run, job: Job) => Promise<Deployed>;
  readonly inTurn: InTurn;
  readonly logger: Logger;
  readonly refreshMs: number;
  readonly retryMs: number;
  readonly teller: Teller;
  /** True while nothing waits until it is due. */
  readonly hurry: () => boolean;
  /** Whether this wasn't said before, today. */
  readonly isNews: (what: string) => boolean;
}
