import { badRequest } from './answers.ts';
import type { Images } from './images.ts';
import { logOf } from './kubelet.ts';
import type { Pod, Thing } from './objects.ts';

/** What a container printed, or the kubelet's refusals. */
export async function readLog(images: Images, object: Thing, query: URLSearchParams): Promise<string> {
  const pod = object as Pod;
  const names = pod.spec.containers.map((it) => it.name);
  const { name, namespace } = pod.metadata;
  const container = query.get('container') ?? (names.length === 1 ? names[0] : undefined);
  if (container === undefined) {
    throw badRequest(`a container name must be specified for pod ${name}, choose one of: [${names.join(' ')}]`);
  }
  const spec = pod.spec.containers.find((it) => it.name === container);
  if (!spec) throw badRequest(`container ${container} is not valid for pod ${name}`);
  const status = pod.status.containerStatuses?.find((it) => it.name === container);
  const waiting = status?.state.waiting?.reason;
  if (query.get('previous') === 'true' && !status?.lastState.terminated) {
    throw badRequest(`previous terminated container "${container}" in pod "${name}" not found`);
  }
  if (!status || (waiting !== undefined && waiting !== 'CrashLoopBackOff')) {
    const why = waiting === undefined || waiting === 'ContainerCreating' ? waiting : "image can't be pulled";
    throw badRequest(`container "${container}" in pod "${name}" is waiting to start: ${why ?? 'ContainerCreating'}`);
  }
  const lines = logOf(spec.image, await images(spec.image, `${namespace}/${name}`)).split(/(?<=\n)/);
  const tail = Number(query.get('tailLines') ?? lines.length);
  const text = lines.slice(-tail).join('');
  const limit = query.get('limitBytes');
  return limit === null ? text : text.slice(0, Number(limit));
}
