/* oxlint-disable no-control-regex -- control characters are what is made visible here */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { AuditRecord } from '#src/engine/store.ts';
import { UserError } from '#src/model/outcome.ts';
import { span } from '#src/setting-values.ts';
import { withInstallation } from './installation.ts';

export interface AuditOptions {
  /** `7d`, or a date; null: all. */
  readonly since: string | null;
  /** `owner/name`, or null: of all. */
  readonly repository: string | null;
  readonly json: boolean;
}

/** Prints the audit, oldest first: a line a record. */
export async function audit({ since, repository, json }: AuditOptions): Promise<void> {
  await withInstallation(async ({ store, now }) => {
    const from = since === null ? 0 : timeOf(since, now());
    const wanted = repository?.toLowerCase() ?? null;
    let found = false;
    async function* lines(): AsyncGenerator<string> {
      for await (const record of store.audit.all(from)) {
        if (wanted !== null && record.repository.toLowerCase() !== wanted) continue;
        found = true;
        yield `${json ? visible(JSON.stringify(record)) : auditLine(record)}\n`;
      }
    }
    try {
      await pipeline(Readable.from(lines()), process.stdout, { end: false });
      if (!found) console.error('No records.');
    } catch (error) {
      // Whoever reads has seen enough.
      if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
    }
  });
}

/** `2026-11-21T08:00:00.000Z refused eve: deploy acme/shop staging: Why.` on one line, whatever the texts hold. */
function auditLine({ at, actor, action, repository, subject, decision, reason }: AuditRecord): string {
  const what = [action, repository, subject].filter((part) => part !== '').join(' ');
  return visible(`${new Date(at).toISOString()} ${decision} ${actor}: ${what}${reason === '' ? '' : `: ${reason}`}`);
}

/** Titles and names come from strangers: no line break, terminal's command or change of direction goes out as such. */
function visible(text: string): string {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function timeOf(since: string, now: number): number {
  if (/^\d{4}-\d\d-\d\d/.test(since)) {
    // A time of day without a zone would be this machine's.
    const at = Date.parse(/T[\d:.]+$/.test(since) ? `${since}Z` : since);
    if (!Number.isNaN(at)) return at;
  } else if (/^\d+[smhd]$/i.test(since)) {
    return now - span(since);
  }
  throw new UserError(
    `--since ${JSON.stringify(since)} is neither a time such as 7d or 12h, nor a date such as 2026-11-01 (UTC).`,
  );
}
