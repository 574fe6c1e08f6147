import type { Behaviour, Images } from './images.ts';
import { type Change, hashOf, type World } from './world.ts';
import { type Condition, type ContainerState, type ContainerStatus, type Pod, timestamp } from './objects.ts';

/**
 * Scheduler and kubelet: gives each new pod a node and lets its containers do what their images do, with the recorded
 * delays. Ends pods that are deleted.
 */
export function startKubelet(world: World, images: Images): void {
  const ending = new Set<string>();
  world.listen(({ resource, type, object }: Change) => {
    if (resource !== 'pods') return;
    const pod = object as Pod;
    if (type === 'ADDED') world.after(10, () => schedule(world, pod, images));
    if (type === 'DELETED') ending.delete(pod.metadata.uid ?? '');
    if (type !== 'MODIFIED' || !pod.metadata.deletionTimestamp || ending.has(pod.metadata.uid ?? '')) return;
    ending.add(pod.metadata.uid ?? '');
    end(world, pod);
  });
}

/** Log of a pod's container: what the recorded demo image prints. */
export function logOf(image: string, behaviour: Behaviour): string {
  const tag = image.split(/[:@]/).at(-1) ?? '';
  const first = `demo version=${tag} mode=${behaviour === 'good' ? 'ok' : behaviour} pid=1\n`;
  return behaviour === 'crash' ? `${first}fatal: boom\n` : first;
}

function end(world: World, pod: Pod): void {
  const { uid = '', namespace, name } = pod.metadata;
  for (const { name: container } of pod.spec.containers) {
    world.event(pod, 'Normal', 'Killing', `Stopping container ${container}`, container);
  }
  world.after(900, () => {
    if (world.get('pods', namespace, name)?.metadata.uid === uid) world.remove('pods', namespace, name);
  });
}

function schedule(world: World, added: Pod, images: Images): void {
  const pod = living(world, added);
  if (!pod) return;
  world.event(pod, 'Normal', 'Scheduled', `Successfully assigned ${pod.metadata.namespace}/${pod.metadata.name} to vm`);
  const containerStatuses = pod.spec.containers.map(
    ({ name, image }): ContainerStatus => ({
      name,
      state: { waiting: { reason: 'ContainerCreating' } },
      lastState: {},
      ready: false,
      restartCount: 0,
      image,
      imageID: '',
      started: false,
    }),
  );
  store(world, { ...pod, status: { ...pod.status, containerStatuses } });
  for (const { name } of pod.spec.containers) void start(world, pod, name, images);
}

async function start(world: World, pod: Pod, container: string, images: Images): Promise<void> {
  const image = pod.spec.containers.find((it) => it.name === container)?.image ?? '';
  const behaviour = await images(image, `${pod.metadata.namespace}/${pod.metadata.name}`);
  const context = { world, pod, container, image };
  if (behaviour === 'missing') world.after(450, () => pullFails(context, 0));
  else world.after(450, () => runs(context, behaviour, 0));
}

interface Context {
  readonly world: World;
  readonly pod: Pod;
  readonly container: string;
  readonly image: string;
}

/** ErrImagePull and ImagePullBackOff take turns, further and further apart. */
function pullFails(context: Context, attempt: number): void {
  const { world, pod, container, image } = context;
  if (!living(world, pod)) return;
  const cause = `rpc error: code = NotFound desc = failed to pull and unpack image "${image}": failed to resolve reference "${image}": ${image}: not found`;
  world.event(pod, 'Normal', 'Pulling', `Pulling image "${image}"`, container);
  world.event(pod, 'Warning', 'Failed', `Failed to pull image "${image}": ${cause}`, container);
  world.event(pod, 'Warning', 'Failed', 'Error: ErrImagePull', container);
  world.after(600, () => update(context, { state: { waiting: { reason: 'ErrImagePull', message: cause } } }));
  const pause = Math.min(300_000, 10_000 * 2 ** attempt);
  world.after(pause / 2, () => {
    const message = `Back-off pulling image "${image}": ErrImagePull: ${cause}`;
    update(context, { state: { waiting: { reason: 'ImagePullBackOff', message } } });
  });
  world.after(pause, () => pullFails(context, attempt + 1));
}

function runs(context: Context, behaviour: Behaviour, restarts: number): void {
  const { world, pod, container, image } = context;
  if (!living(world, pod)) return;
  world.event(pod, 'Normal', 'Pulled', `Container image "${image}" already present on machine`, container);
  world.event(pod, 'Normal', 'Created', `Created container: ${container}`, container);
  world.event(pod, 'Normal', 'Started', `Started container ${container}`, container);
  const imageID = `${image.replace(/[@:][^/]*$/, '')}@sha256:${hashOf(image).padEnd(64, '0')}`;
  if (behaviour === 'crash') {
    world.after(400, () => crashes(context, restarts));
    return;
  }
  const running = { state: { running: { startedAt: timestamp() } }, imageID, started: true };
  world.after(400, () => update(context, running));
  if (behaviour === 'notready') world.after(800, () => probeFails(context, Number.POSITIVE_INFINITY));
  if (behaviour === 'slow') world.after(800, () => probeFails(context, 9));
  world.after(behaviour === 'slow' ? 20_000 : 410, () => {
    if (behaviour !== 'notready') update(context, { ...running, ready: true });
  });
}

function probeFails(context: Context, times: number): void {
  const { world, pod, container } = context;
  if (!living(world, pod) || times === 0) return;
  world.event(pod, 'Warning', 'Unhealthy', 'Readiness probe failed: HTTP probe failed with statuscode: 404', container);
  world.after(2000, () => probeFails(context, times - 1));
}

/** Exits with 1 and is started again: at once the first time, then after 10 s, 20 s ... at most 5 min. */
function crashes(context: Context, restarts: number): void {
  const { world, pod, container } = context;
  const now = timestamp();
  const terminated = { exitCode: 1, reason: 'Error', startedAt: now, finishedAt: now };
  const lastState: ContainerState = restarts === 0 ? {} : { terminated };
  if (!update(context, { state: { terminated }, lastState, restartCount: restarts })) return;
  const pause = restarts === 0 ? 100 : Math.min(300_000, 10_000 * 2 ** (restarts - 1));
  if (restarts > 0) {
    const where = `pod=${pod.metadata.name}_${pod.metadata.namespace}(${pod.metadata.uid})`;
    const message = `back-off ${pause / 1000}s restarting failed container=${container} ${where}`;
    world.event(pod, 'Warning', 'BackOff', `Back-off restarting failed container ${container} in ${where}`, container);
    world.after(1000, () =>
      update(context, { state: { waiting: { reason: 'CrashLoopBackOff', message } }, lastState: { terminated } }),
    );
  }
  world.after(Math.max(1500, pause), () => runs(context, 'crash', restarts + 1));
}

/** False if the pod is gone or going. */
function update(context: Context, change: Partial<ContainerStatus>): boolean {
  const { world, container } = context;
  const pod = living(world, context.pod);
  if (!pod) return false;
  const containerStatuses = (pod.status.containerStatuses ?? []).map((it) =>
    it.name === container ? { ...it, ...change } : it,
  );
  store(world, { ...pod, status: { ...pod.status, containerStatuses } });
  return true;
}

function living(world: World, pod: Pod): Pod | null {
  const { namespace, name, uid } = pod.metadata;
  const now = world.get('pods', namespace, name);
  return now && now.metadata.uid === uid && !now.metadata.deletionTimestamp ? now : null;
}

/** Stores the pod with the phase and conditions that follow from its containers. */
function store(world: World, pod: Pod): void {
  const statuses = pod.status.containerStatuses ?? [];
  const unready = statuses.filter((it) => !it.ready).map((it) => it.name);
  const started = statuses.every((it) => it.state.waiting?.reason !== 'ContainerCreating' && !isPulling(it));
  const ready: Pick<Condition, 'status' | 'reason' | 'message'> =
    unready.length === 0
      ? { status: 'True' }
      : {
          status: 'False',
          reason: 'ContainersNotReady',
          message: `containers with unready status: [${unready.join(' ')}]`,
        };
  const conditions: Condition[] = [
    { type: 'Initialized', status: 'True' },
    { type: 'Ready', ...ready },
    { type: 'ContainersReady', ...ready },
    { type: 'PodScheduled', status: 'True' },
  ];
  world.put('pods', { ...pod, status: { ...pod.status, phase: started ? 'Running' : 'Pending', conditions } });
}

function isPulling(status: ContainerStatus): boolean {
  return ['ErrImagePull', 'ImagePullBackOff'].includes(status.state.waiting?.reason ?? '');
}
