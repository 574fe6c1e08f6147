import type { Generated, Kysely } from 'kysely';

/**
 * The tables as the newest migration leaves them. Times are milliseconds since the epoch, structured
 * values are JSON in text columns: the same on SQLite and PostgreSQL.
 */
export interface Tables {
  deliveries: DeliveriesTable;
  runs: RunsTable;
  jobs: JobsTable;
  steps: StepsTable;
  images: ImagesTable;
  deployments: DeploymentsTable;
  approvals: ApprovalsTable;
  locks: LocksTable;
  heads: HeadsTable;
  audit: AuditTable;
  secrets: SecretsTable;
  told: { key: string; value: string };
  turns: { repository_id: number; turn: number };
  workers: { id: string; place: string; engine: string | null; beats: number };
  leader: { one: number; worker: string | null };
  lines: { repository_id: number; name: string; seq: number };
  line_entries: LineEntriesTable;
  migrations: { name: string; at: number };
}

export type Database = Kysely<Tables>;

export interface DeliveriesTable {
  seq: Generated<number>;
  guid: string;
  event: string;
  body: Uint8Array;
  received_at: number;
  finished_at: number | null;
  result: string | null;
}

export interface RunsTable {
  id: string;
  repository_id: number;
  /** `owner/name` in lower case, because GitHub doesn't tell cases apart. */
  full_name: string;
  repository: string;
  sha: string;
  run_key: string;
  kind: string;
  /** A branch of this repository, null for tags, forks and merge groups. */
  branch: string | null;
  trigger: string;
  state: string;
  outcome: string | null;
  diagnostics: string;
  pipeline_file: string | null;
  pull_request: number | null;
  concurrency: string | null;
  trust: string | null;
  cancel_reason: string | null;
  cancel_by: string | null;
  note: string | null;
  version: number;
  /** The version up to which everything was told. */
  told_version: number;
  created_at: number;
  started_at: number | null;
  finished_at: number | null;
}

export interface JobsTable {
  id: string;
  run_id: string;
  position: number;
  key: string;
  kind: string;
  plan: string;
  state: string;
  outcome_kind: string | null;
  outcome: string | null;
  attempt: number;
  annotations: string;
  tests: string | null;
  progress: string | null;
  artifacts: string | null;
  gate: string | null;
  report: string;
  worker: string | null;
  /** The run's. */
  repository_id: number;
  priority: number;
  note: string | null;
  cancel_reason: string | null;
  cancel_by: string | null;
  earlier: string;
  queued_at: number | null;
  not_before: number | null;
  started_at: number | null;
  finished_at: number | null;
}

export interface StepsTable {
  job_id: string;
  position: number;
  name: string;
  state: string;
  exit_code: number | null;
  started_at: number | null;
  finished_at: number | null;
  log_start: number | null;
  log_end: number | null;
}

export interface ImagesTable {
  repository_id: number;
  sha: string;
  job: string;
  image: string;
  tags: string;
  at: number;
}

export interface DeploymentsTable {
  id: string;
  repository_id: number;
  repository: string;
  environment: string;
  sha: string;
  run_id: string;
  job_id: string;
  actor: string;
  state: string;
  description: string;
  changes: string;
  created_at: number;
  updated_at: number;
  patched_at: number | null;
  details: string;
}

export interface ApprovalsTable {
  job_id: string;
  attempt: number;
  gate: string;
  /** `login` in lower case. */
  who: string;
  login: string;
  decision: string;
  at: number;
}

export interface LocksTable {
  repository_id: number;
  /** The environment in lower case; '' is the whole repository. */
  name: string;
  environment: string;
  owner: string;
  reason: string;
  pull_request: number | null;
  at: number;
}

export interface HeadsTable {
  id: string;
  repository_id: number;
  number: number;
  sha: string;
  at: number | null;
  received_at: number;
}

/** Who stands in the line of a concurrency group. */
export interface LineEntriesTable {
  repository_id: number;
  name: string;
  /** `run:ID` or `job:ID`. */
  holder: string;
  run_id: string;
  job_id: string | null;
  seq: number;
  /** 1 or 0: truth has no type that both databases share. */
  holds: number;
}

export interface AuditTable {
  id: string;
  at: number;
  actor: string;
  action: string;
  repository: string;
  subject: string;
  decision: string;
  reason: string;
}

export interface SecretsTable {
  id: string;
  /** These three in lower case; '' for what doesn't apply. `repository` is the name alone. */
  owner: string;
  repository: string;
  environment: string;
  name: string;
  ciphertext: string;
  limits: string;
  set_at: number;
  set_by: string;
  /** Null: the current one. */
  replaced_at: number | null;
}
