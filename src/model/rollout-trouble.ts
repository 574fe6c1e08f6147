/** Why a pod of a new version isn't ready, or why there is none. */
export interface Trouble {
  /** ended: the cluster itself has ended the rollout, for good. */
  readonly kind: 'ended' | 'image' | 'crash' | 'config' | 'create' | 'schedule' | 'start' | 'unready';
  /** Kubernetes' own word: `ImagePullBackOff`, `CrashLoopBackOff`, `FailedCreate` ... */
  readonly reason: string;
  /** Kubernetes' own sentence; '' if there is none. */
  readonly message: string;
  readonly pod: string;
  readonly container: string;
  readonly restarts: number;
  /** Of the container's last end, if it ended. */
  readonly exitCode: number | null;
}

/** Restarts after which a crash counts as hard: by the third the container has had about 40 s of the kubelet's back-off. */
const hardRestarts = 3;

/**
 * Whether it is unlikely to pass by itself. A probe that fails is what every slow start looks like, and a node may
 * yet come, so these wait for the rollout's own deadline.
 */
export function isHard(trouble: Trouble): boolean {
  if (trouble.kind === 'crash') return trouble.restarts >= hardRestarts;
  return ['ended', 'image', 'config', 'create'].includes(trouble.kind);
}

/** Worst first: what can't pass comes before what may. */
export function bySeverity(a: Trouble, b: Trouble): number {
  return severity(a) - severity(b) || b.restarts - a.restarts || a.pod.localeCompare(b.pod);
}

function severity(trouble: Trouble): number {
  const order: Record<Trouble['kind'], number> = {
    create: 0,
    // What the pods say is nearer to the cause.
    ended: 4,
    image: 1,
    config: 2,
    crash: 3,
    schedule: 5,
    start: 6,
    unready: 7,
  };
  return order[trouble.kind];
}

/** A sentence or two for people: what is wrong, why, what to do. */
export function explain(trouble: Trouble): string {
  const { reason, container } = trouble;
  const why = shortened(trouble.message);
  switch (trouble.kind) {
    case 'ended':
      return `the cluster itself ended the rollout (${reason})${said(why)} Look at what it says of the workload.`;
    case 'image':
      return `the image of container ${container} can't be pulled (${reason})${said(why)} Check that it is in the registry and that the cluster may pull it (imagePullSecrets).`;
    case 'crash':
      return crashSentence(trouble);
    case 'config':
      return `container ${container} can't be started (${reason})${said(why)} Create what it refers to, or correct the workload.`;
    case 'create':
      return `no pod can be created (${reason})${said(why)} Change the quota, the policy or the pod template that refuses it.`;
    case 'schedule':
      return `no node takes the pod (${reason})${said(why)} Free or add capacity, or lower the pod's requests.`;
    case 'start':
      return `container ${container} hasn't been started (${reason})${said(why)} Check the volumes and secrets that the pod needs.`;
    case 'unready':
      return `container ${container} runs but never becomes ready${said(why)} Check its readiness probe and its last log lines.`;
  }
}

function crashSentence(trouble: Trouble): string {
  const { container, reason, restarts, exitCode } = trouble;
  const again = `restarted ${restarts} ${restarts === 1 ? 'time' : 'times'}`;
  if (reason === 'OOMKilled') {
    return `container ${container} was killed because it used more memory than its limit (OOMKilled, ${again}). Raise the limit or use less.`;
  }
  if (exitCode === 0) {
    return `container ${container} ends by itself with exit code 0 (${reason}, ${again}), but it must keep running. Check its command.`;
  }
  const how = exitCode === null ? 'crashes' : `exits with code ${exitCode}`;
  return `container ${container} ${how} (${reason}, ${again}). Its last log lines say why.`;
}

function said(why: string): string {
  return why === '' ? '.' : `: ${why}${/[.!?]$/.test(why) ? '' : '.'}`;
}

/** Kubernetes wraps the cause in its own retries: the part after the last `ErrImagePull:` is the registry's answer. */
function shortened(message: string): string {
  const cause = (message.split('ErrImagePull: ').at(-1) ?? '').replace(/\s+/g, ' ').trim();
  return cause.length > 240 ? `${cause.slice(0, 239)}…` : cause;
}
