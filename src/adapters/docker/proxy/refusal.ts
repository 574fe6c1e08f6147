import type { JobFacts, Refusal } from './contract.ts';

/** What a job may not do (403). The message says what, why, and what to do instead. */
export function refused(message: string): Refusal {
  return { kind: 'refusal', status: 403, message: `Not in a job: ${message}` };
}

/** What can't be understood (400). */
export function wrong(message: string): Refusal {
  return { kind: 'refusal', status: 400, message };
}

/** Inside the rules a refusal is thrown; `rules.ts` catches it at the border. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusal.message);
    this.refusal = refusal;
  }
}

export function refuse(message: string): never {
  throw new Refused(refused(message));
}

/** What the operator's rules don't allow (403): the message says whose rule it is, and what would change it. */
export function disallow(message: string): never {
  throw new Refused({ kind: 'refusal', status: 403, message });
}

export function misread(message: string): never {
  throw new Refused(wrong(message));
}

/** Why: a stranger's job has none where nothing guards it or the operator says so; others only if they asked for none. */
export function noNetwork({ trusted }: Pick<JobFacts, 'trusted'>): string {
  return trusted
    ? 'this job has no network (`network: none`).'
    : "this job has no network (a stranger's commit; the job's log begins with the reason).";
}

/** A client's value in a message: short, without control characters. */
export function quoted(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? 'undefined');
  const clean = text.slice(0, 80).replaceAll(/[^\x20-\x7e]/g, '?');
  return `\`${clean}${text.length > 80 ? '...' : ''}\``;
}
