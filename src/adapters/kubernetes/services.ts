import type { ServiceRef } from '#src/engine/ports-deploy.ts';
import { PlatformError, UserError } from '#src/model/outcome.ts';
import type { Connection } from './connection.ts';
import { explained, StatusError } from './errors.ts';
import { parse } from './located.ts';
import { servicePath } from './paths.ts';

type Labels = Readonly<Record<string, string>>;

/** As Canaries.selector. `cluster` is for messages. */
export async function readSelector(
  connection: Connection,
  cluster: string,
  at: ServiceRef,
  signal: AbortSignal,
): Promise<Labels> {
  const doing = `get service ${at.namespace}/${at.name}`;
  return await asking(cluster, at, doing, signal, async () => {
    const text = await connection.request({ method: 'GET', path: servicePath(at) }, signal);
    const { spec } = parse(text) as { readonly spec?: { readonly selector?: Labels } };
    return spec?.selector ?? {};
  });
}

/** As Canaries.select: only if it is `from` still, tested by the API server itself. */
export async function switchSelector(
  connection: Connection,
  cluster: string,
  at: ServiceRef,
  { from, to }: { readonly from: Labels; readonly to: Labels },
  signal: AbortSignal,
): Promise<void> {
  const now = await readSelector(connection, cluster, at, signal);
  if (same(now, to)) return;
  const name = `${at.namespace}/${at.name}`;
  const other = `Somebody else changed the selector of the Service ${name} during the rollout (${JSON.stringify(now)} in place of ${JSON.stringify(from)}). It was left as it is.`;
  if (!same(now, from)) throw new UserError(other);
  const body = [
    { op: 'test', path: '/spec/selector', value: now },
    { op: 'replace', path: '/spec/selector', value: to },
  ];
  await asking(cluster, at, `patch service ${name}`, signal, async () => {
    try {
      const query = { fieldManager: 'slipway' };
      await connection.request({ method: 'PATCH', path: servicePath(at), query, patch: 'json', body }, signal);
    } catch (error) {
      if (!(error instanceof StatusError) || error.code !== 422) throw error;
      // The answer to the same patch may have been lost, or somebody was quicker.
      if (!same(await readSelector(connection, cluster, at, signal), to)) throw new UserError(other);
    }
  });
}

async function asking<T>(
  cluster: string,
  at: ServiceRef,
  doing: string,
  signal: AbortSignal,
  ask: () => Promise<T>,
): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof StatusError && error.code === 404 && error.isStatus) {
      throw new UserError(
        `There is no Service ${at.namespace}/${at.name} in ${cluster}. Check \`service\` under \`blue-green\`.`,
      );
    }
    const target = { ...at, kind: 'deployment', container: '', image: '' } as const;
    const told = explained(error, cluster, target, doing);
    const { message } = told;
    const words = message.replaceAll(`deployment ${at.namespace}/${at.name}`, `Service ${at.namespace}/${at.name}`);
    if (words === message) throw told;
    throw told instanceof UserError ? new UserError(words) : new PlatformError(words);
  }
}

function same(a: Labels, b: Labels): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}
