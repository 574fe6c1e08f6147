import { PlatformError, UserError } from '#src/model/outcome.ts';
import type { RolloutTarget, WorkloadKind } from '#src/model/pipeline.ts';

/** An answer of the API server that isn't 2xx. */
export class StatusError extends Error {
  override readonly name = 'StatusError';
  readonly code: number;
  readonly retryAfterMs: number | null;
  /** The body was a Kubernetes Status; else it was text (429, unknown API group, proxies). */
  readonly isStatus: boolean;
  /** Kubernetes' own word: `NotFound`, `AlreadyExists`, `Conflict`; '' if it gave none. */
  readonly reason: string;

  constructor(code: number, body: string, headers: Readonly<Record<string, string>>) {
    const status = parseStatus(body);
    super((status?.message ?? body).replace(/\s+/g, ' ').trim().slice(0, 400));
    this.code = code;
    this.isStatus = status !== null;
    this.reason = status?.reason ?? '';
    const seconds = Number(headers['retry-after']);
    this.retryAfterMs = Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : null;
  }
}

/** Fit to be tried again unchanged: 429, 409 (a writer in between) and what servers and proxies say when they are ill. */
export function isTransient(error: unknown): boolean {
  // A 409 of another sort: what is to be created is there.
  if (error instanceof StatusError && error.reason === 'AlreadyExists') return false;
  if (error instanceof StatusError) return [409, 429, 500, 502, 503, 504].includes(error.code);
  if (isTimeout(error)) return true;
  if (error instanceof PlatformError || !(error instanceof Error)) return false;
  return !isCertificateError(error) && networkCode(error) !== null;
}

/** What people are told. `doing` completes "Slipway may not ...": `patch deployment shop/api`. */
export function explained(error: unknown, cluster: string, target: RolloutTarget, doing: string): Error {
  const workload = `${target.kind} ${target.namespace}/${target.name}`;
  if (error instanceof StatusError) return explainedStatus(error, cluster, target.kind, workload, doing);
  if (error instanceof UserError || error instanceof PlatformError) return error;
  if (isTimeout(error)) {
    return new PlatformError(
      `The API server of ${cluster} gives no answer in time. Check that it runs and can be reached.`,
    );
  }
  if (!(error instanceof Error)) return new PlatformError(String(error));
  if (isCertificateError(error)) {
    return new PlatformError(
      `The certificate of ${cluster} can't be verified (${networkCode(error)}). Check certificate-authority in the kubeconfig.`,
      { retry: 'never' },
    );
  }
  const code = networkCode(error);
  if (code === null) return new PlatformError(`${cluster}: ${error.message}`);
  return new PlatformError(
    `The API server of ${cluster} can't be reached (${code}). Check that it runs and its address in the kubeconfig.`,
  );
}

/** Rules of the cluster, whoever asks: admission webhooks (400 unless they say otherwise) and policies, quotas, a namespace's end. */
const denial = /denied (the )?request|exceeded quota|violates PodSecurity|is being terminated/i;

function explainedStatus(
  error: StatusError,
  cluster: string,
  kind: WorkloadKind,
  workload: string,
  doing: string,
): Error {
  const said = error.message;
  if (error.code === 401) {
    return new PlatformError(
      `${cluster} refused Slipway's credentials (401). Renew the token or certificate in the kubeconfig.`,
    );
  }
  if (error.code === 403 && said.includes('system:anonymous')) {
    return new PlatformError(
      `${cluster} was given no credentials (403). Add a token or certificate to the kubeconfig.`,
    );
  }
  if ([400, 403, 422].includes(error.code) && denial.test(said)) {
    return new UserError(`${cluster} doesn't let anybody ${doing} in this way (${error.code}). It says: ${said}`);
  }
  if (error.code === 403) {
    return new UserError(
      `Slipway may not ${doing} in ${cluster} (403): the namespace or name may be misspelt, or its ServiceAccount lacks the right. The cluster says: ${said}`,
    );
  }
  if (error.code === 404 && error.isStatus) {
    return new UserError(`There is no ${workload} in ${cluster}. Check the namespace and the name under \`rollout\`.`);
  }
  if (error.code === 404 && kind === 'deploymentconfig') {
    return new UserError(`${cluster} knows no DeploymentConfigs: it isn't OpenShift. Name a \`deployment\` instead.`);
  }
  if (error.code === 404 && kind === 'rollout') {
    return new UserError(`${cluster} knows no Argo Rollouts (argoproj.io). Install them, or name a \`deployment\`.`);
  }
  if (error.code === 404) return new PlatformError(`The address of ${cluster} isn't a Kubernetes API server: ${said}`);
  if (error.code === 422 || (error.code === 400 && error.isStatus)) {
    return new UserError(`${workload} can't be changed so (${error.code}): ${said}`);
  }
  return new PlatformError(`${cluster} couldn't ${doing} (${error.code}): ${said}`);
}

function parseStatus(body: string): { readonly message: string; readonly reason: string } | null {
  try {
    const value = JSON.parse(body) as { readonly message?: unknown; readonly reason?: unknown } | null;
    if (typeof value?.message !== 'string') return null;
    return { message: value.message, reason: typeof value.reason === 'string' ? value.reason : '' };
  } catch {
    return null;
  }
}

/** A DOMException, which isn't an Error everywhere. */
function isTimeout(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'name' in error && error.name === 'TimeoutError';
}

function isCertificateError(error: Error): boolean {
  return /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ERR_TLS|ERR_SSL|EPROTO/.test(networkCode(error) ?? '');
}

/** `ECONNREFUSED` of a failed fetch, whose cause carries it; null if it is no network error. */
function networkCode(error: Error): string | null {
  const { cause } = error;
  if (cause === undefined) return codeOf(error);
  const first = hasErrors(cause) ? cause.errors[0] : cause;
  return codeOf(first) ?? codeOf(cause) ?? String(first);
}

/** Node tries each address of a host and puts what came of it into one error. */
function hasErrors(error: unknown): error is { readonly errors: readonly unknown[] } {
  return typeof error === 'object' && error !== null && 'errors' in error && Array.isArray(error.errors);
}

function codeOf(error: unknown): string | null {
  if (typeof error !== 'object' || error === null || !('code' in error)) return null;
  return typeof error.code === 'string' ? error.code : null;
}
