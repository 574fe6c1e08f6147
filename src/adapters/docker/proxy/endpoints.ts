import type { AnswerKind, Matched } from './contract.ts';

/** How the value of a query's parameter is checked. A star: it may come several times. */
export type QueryType = 'flag' | 'int' | 'time' | 'word' | 'text' | 'json' | 'text*' | 'word*' | 'json*';

export interface Endpoint {
  readonly name: string;
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';
  /** `{id}` and `{name}` are one segment, `{image}` and `{any}` one or more. */
  readonly path: string;
  /**
   * `own`: goes on as it is, if what it names is the job's own. `rewritten`: a function of its own builds the request.
   * `local`: answered here. `refused`: `says` is the reason, in the user's terms.
   */
  readonly use: 'own' | 'rewritten' | 'local' | 'refused';
  readonly query: Readonly<Record<string, QueryType>>;
  readonly body: Matched['body'];
  readonly answer: AnswerKind;
  /** For the table in docs/docker-in-jobs.md, and in refusals. */
  readonly says: string;
}

type Options = Partial<Pick<Endpoint, 'query' | 'body' | 'answer'>>;

function row(use: Endpoint['use'], name: string, where: string, says: string, options: Options = {}): Endpoint {
  const [method, path] = where.split(' ') as [Endpoint['method'], string];
  return { name, method, path, use, says, query: {}, body: 'none', answer: 'json', ...options };
}
const own = (name: string, where: string, says: string, options?: Options) => row('own', name, where, says, options);
const made = (name: string, where: string, says: string, options?: Options) =>
  row('rewritten', name, where, says, options);
const local = (name: string, where: string, says: string, options?: Options) =>
  row('local', name, where, says, options);
const no = (name: string, where: string, says: string) => row('refused', name, where, says);

const SWARM = "Swarm belongs to the engine's owner; a job has containers, networks and volumes of its own.";
const PLUGINS = 'Plugins run on the host with its powers; a job may not know or change them.';
const DEBUG = "The engine's own workings belong to its owner.";
const CHECKPOINTS = 'Checkpoints are written to the host, and let a container go on with other rights.';

const LISTED = { all: 'flag', limit: 'int', size: 'flag', filters: 'json' } as const;
const ATTACH = {
  detachKeys: 'word',
  logs: 'flag',
  stream: 'flag',
  stdin: 'flag',
  stdout: 'flag',
  stderr: 'flag',
} as const;
const LOGS = {
  follow: 'flag',
  stdout: 'flag',
  stderr: 'flag',
  since: 'time',
  until: 'time',
  timestamps: 'flag',
  tail: 'word',
  details: 'flag',
} as const;
const BUILD = {
  version: 'word',
  session: 'word',
  buildid: 'word',
  dockerfile: 'text',
  t: 'word*',
  extrahosts: 'text*',
  remote: 'text',
  q: 'flag',
  nocache: 'flag',
  cachefrom: 'json',
  pull: 'text',
  rm: 'flag',
  forcerm: 'flag',
  memory: 'int',
  memswap: 'int',
  cpushares: 'int',
  cpusetcpus: 'word',
  cpusetmems: 'word',
  cpuperiod: 'int',
  cpuquota: 'int',
  buildargs: 'json',
  shmsize: 'int',
  squash: 'flag',
  labels: 'json',
  networkmode: 'word',
  platform: 'word',
  target: 'word',
  outputs: 'json',
  isolation: 'word',
  ulimits: 'json',
  cgroupparent: 'word',
  securityopt: 'text*',
} as const;

/** Every path of the Engine API from 1.24 to 1.51 (and 1.55's): what isn't here is refused. */
export const ENDPOINTS: readonly Endpoint[] = [
  // The engine
  made('SystemPing', 'GET /_ping', 'As the engine answers.', { answer: 'stream' }),
  made('SystemPingHead', 'HEAD /_ping', 'As the engine answers.', { answer: 'stream' }),
  made('SystemVersion', 'GET /version', 'As the engine answers.'),
  made('SystemInfo', 'GET /info', "Without the host's name, paths and counts; CPUs and memory are the job's."),
  made('SystemEvents', 'GET /events', "Events of the job's own things.", {
    query: { since: 'time', until: 'time', filters: 'json' },
    answer: 'events',
  }),
  local('SystemDataUsage', 'GET /system/df', 'Answered empty.', { query: { type: 'word*', verbose: 'flag' } }),
  local('SystemAuth', 'POST /auth', 'Accepted without asking the registry: a wrong password shows at the push.', {
    body: 'json',
  }),

  // Containers
  made('ContainerList', 'GET /containers/json', "The job's own.", { query: LISTED }),
  made('ContainerCreate', 'POST /containers/create', 'Each option is checked: see below.', {
    body: 'json',
    query: { name: 'word', platform: 'word' },
  }),
  made('ContainerPrune', 'POST /containers/prune', "The job's own.", { query: { filters: 'json' } }),
  own('ContainerInspect', 'GET /containers/{id}/json', "The job's own; without paths of the host.", {
    query: { size: 'flag' },
  }),
  made('ContainerTop', 'GET /containers/{id}/top', "The job's own.", { query: { ps_args: 'text' } }),
  own('ContainerLogs', 'GET /containers/{id}/logs', "The job's own.", { query: LOGS, answer: 'stream' }),
  own('ContainerChanges', 'GET /containers/{id}/changes', "The job's own."),
  own('ContainerExport', 'GET /containers/{id}/export', "The job's own.", { answer: 'stream' }),
  own('ContainerStats', 'GET /containers/{id}/stats', "The job's own.", {
    query: { stream: 'flag', 'one-shot': 'flag' },
    answer: 'events',
  }),
  own('ContainerResize', 'POST /containers/{id}/resize', "The job's own.", { query: { h: 'int', w: 'int' } }),
  made('ContainerStart', 'POST /containers/{id}/start', "The job's own, where its limits fit; not from a checkpoint.", {
    query: { detachKeys: 'word', checkpoint: 'text', 'checkpoint-dir': 'text' },
  }),
  own('ContainerStop', 'POST /containers/{id}/stop', "The job's own.", { query: { t: 'int', signal: 'word' } }),
  made('ContainerRestart', 'POST /containers/{id}/restart', "The job's own, where its limits fit.", {
    query: { t: 'int', signal: 'word' },
  }),
  own('ContainerKill', 'POST /containers/{id}/kill', "The job's own.", { query: { signal: 'word' } }),
  made('ContainerUpdate', 'POST /containers/{id}/update', "The job's own; limits up to what is left of the job's.", {
    body: 'json',
  }),
  made('ContainerRename', 'POST /containers/{id}/rename', "The job's own.", { query: { name: 'word' } }),
  own('ContainerPause', 'POST /containers/{id}/pause', "The job's own."),
  own('ContainerUnpause', 'POST /containers/{id}/unpause', "The job's own."),
  own('ContainerAttach', 'POST /containers/{id}/attach', "The job's own.", {
    query: ATTACH,
    answer: 'hijack',
  }),
  no('ContainerAttachWebsocket', 'GET /containers/{id}/attach/ws', 'Attach without a web socket: docker attach does.'),
  own('ContainerWait', 'POST /containers/{id}/wait', "The job's own.", {
    query: { condition: 'word' },
    // Clients wait for its head before they start the container.
    answer: 'stream',
  }),
  made('ContainerDelete', 'DELETE /containers/{id}', "The job's own; its unnamed volumes go with it.", {
    query: { v: 'flag', force: 'flag', link: 'flag' },
  }),
  own('ContainerArchiveInfo', 'HEAD /containers/{id}/archive', "The job's own.", {
    query: { path: 'text' },
    answer: 'stream',
  }),
  own('ContainerArchive', 'GET /containers/{id}/archive', "The job's own.", {
    query: { path: 'text' },
    answer: 'stream',
  }),
  own('PutContainerArchive', 'PUT /containers/{id}/archive', "The job's own.", {
    query: { path: 'text', noOverwriteDirNonDir: 'flag', copyUIDGID: 'flag' },
    body: 'stream',
  }),
  made('ContainerExec', 'POST /containers/{id}/exec', "The job's own; not privileged.", { body: 'json' }),
  made('ExecStart', 'POST /exec/{id}/start', "The job's own.", { body: 'json', answer: 'hijack' }),
  own('ExecResize', 'POST /exec/{id}/resize', "The job's own.", { query: { h: 'int', w: 'int' } }),
  own('ExecInspect', 'GET /exec/{id}/json', "The job's own."),
  no('CheckpointList', 'GET /containers/{id}/checkpoints', CHECKPOINTS),
  no('CheckpointCreate', 'POST /containers/{id}/checkpoints', CHECKPOINTS),
  no('CheckpointDelete', 'DELETE /containers/{id}/checkpoints/{name}', CHECKPOINTS),

  // Images
  made('ImageList', 'GET /images/json', 'Those that the job made or pulled.', {
    query: { all: 'flag', filters: 'json', filter: 'word', digests: 'flag', 'shared-size': 'flag' },
  }),
  made('ImageBuild', 'POST /build', 'Each option is checked: see below.', {
    query: BUILD,
    body: 'stream',
    answer: 'stream',
  }),
  local('BuildPrune', 'POST /build/prune', "Nothing happens: the cache is the engine's.", {
    query: {
      filters: 'json',
      all: 'flag',
      'keep-storage': 'int',
      'reserved-space': 'int',
      'max-used-space': 'int',
      'min-free-space': 'int',
    },
  }),
  made('BuildCancel', 'POST /build/cancel', "The job's own builds.", { query: { id: 'word' } }),
  made('ImageCreate', 'POST /images/create', "Pulls with the client's own credentials; no import.", {
    query: {
      fromImage: 'word',
      fromSrc: 'text',
      repo: 'word',
      tag: 'word',
      message: 'text',
      changes: 'text*',
      platform: 'word',
    },
    answer: 'stream',
  }),
  no('ImageSearch', 'GET /images/search', "Search in the registry's web page: the engine doesn't ask for a job."),
  local('ImagePrune', 'POST /images/prune', 'Nothing happens: images of a job are removed when it ends.', {
    query: { filters: 'json' },
  }),
  made('ImageGetAll', 'GET /images/get', 'Those that the job may use, named one by one.', {
    query: { names: 'word*', platform: 'json' },
    answer: 'stream',
  }),
  no(
    'ImageLoad',
    'POST /images/load',
    'An archive names its images itself, and the engine would give these names for all jobs. Push the image, pull it, or build it with a Dockerfile.',
  ),
  made('ImageInspect', 'GET /images/{image}/json', 'Those that the job may use.', {
    query: { manifests: 'flag', platform: 'json' },
  }),
  made('ImageHistory', 'GET /images/{image}/history', 'Those that the job may use.', { query: { platform: 'json' } }),
  made('ImageGet', 'GET /images/{image}/get', 'Those that the job may use.', {
    query: { platform: 'json' },
    answer: 'stream',
  }),
  no('ImageAttestations', 'GET /images/{image}/attestations', 'Not known to the proxy yet.'),
  made('ImagePush', 'POST /images/{image}/push', 'Where the operator lets the repository push.', {
    query: { tag: 'word', platform: 'json' },
    answer: 'stream',
  }),
  made('ImageTag', 'POST /images/{image}/tag', "The name is the job's own.", { query: { repo: 'word', tag: 'word' } }),
  made('ImageDelete', 'DELETE /images/{image}', "The job's own names; a shared image stays.", {
    query: { force: 'flag', noprune: 'flag', platforms: 'json*' },
  }),
  made('ImageCommit', 'POST /commit', "The job's own containers; the name is the job's own.", {
    query: {
      container: 'word',
      repo: 'word',
      tag: 'word',
      comment: 'text',
      author: 'text',
      pause: 'flag',
      changes: 'text*',
    },
    body: 'json',
  }),
  made('DistributionInspect', 'GET /distribution/{image}/json', 'Images that the job may pull.'),
  made('Session', 'POST /session', "BuildKit's session.", { answer: 'hijack' }),
  no(
    'Grpc',
    'POST /grpc',
    'buildx talks to BuildKit past the Engine API, which cannot be checked. Set DOCKER_BUILDKIT=0 (jobs with `docker: true` have it set), and call `docker build` instead of `docker buildx build`.',
  ),

  // Networks
  made('NetworkList', 'GET /networks', "The job's own, and `bridge`: the job's network.", {
    query: { filters: 'json' },
  }),
  made('NetworkCreate', 'POST /networks/create', 'Bridges; the engine chooses the addresses.', { body: 'json' }),
  made('NetworkPrune', 'POST /networks/prune', "The job's own.", { query: { filters: 'json' } }),
  made('NetworkInspect', 'GET /networks/{id}', "The job's own.", {
    query: { verbose: 'flag', scope: 'word', status: 'flag' },
  }),
  made('NetworkDelete', 'DELETE /networks/{id}', "The job's own."),
  made('NetworkConnect', 'POST /networks/{id}/connect', "The job's own containers to its own networks.", {
    body: 'json',
  }),
  made('NetworkDisconnect', 'POST /networks/{id}/disconnect', "The job's own containers.", { body: 'json' }),

  // Volumes
  made('VolumeList', 'GET /volumes', "The job's own.", { query: { filters: 'json' } }),
  made('VolumeCreate', 'POST /volumes/create', 'The local driver without options.', { body: 'json' }),
  made('VolumePrune', 'POST /volumes/prune', "The job's own.", { query: { filters: 'json' } }),
  made('VolumeInspect', 'GET /volumes/{name}', "The job's own."),
  no('VolumeUpdate', 'PUT /volumes/{name}', SWARM),
  made('VolumeDelete', 'DELETE /volumes/{name}', "The job's own.", { query: { force: 'flag' } }),

  // What belongs to the engine's owner
  ...refusals(PLUGINS, [
    'PluginList GET /plugins',
    'PluginPrivileges GET /plugins/privileges',
    'PluginPull POST /plugins/pull',
    'PluginCreate POST /plugins/create',
    'PluginInspect GET /plugins/{any}/json',
    'PluginDelete DELETE /plugins/{any}',
    'PluginEnable POST /plugins/{any}/enable',
    'PluginDisable POST /plugins/{any}/disable',
    'PluginPush POST /plugins/{any}/push',
    'PluginUpgrade POST /plugins/{any}/upgrade',
    'PluginSet POST /plugins/{any}/set',
  ]),
  ...refusals(SWARM, [
    'SwarmInspect GET /swarm',
    'SwarmInit POST /swarm/init',
    'SwarmJoin POST /swarm/join',
    'SwarmLeave POST /swarm/leave',
    'SwarmUpdate POST /swarm/update',
    'SwarmUnlockkey GET /swarm/unlockkey',
    'SwarmUnlock POST /swarm/unlock',
    'NodeList GET /nodes',
    'NodeInspect GET /nodes/{id}',
    'NodeDelete DELETE /nodes/{id}',
    'NodeUpdate POST /nodes/{id}/update',
    'ServiceList GET /services',
    'ServiceCreate POST /services/create',
    'ServiceInspect GET /services/{id}',
    'ServiceDelete DELETE /services/{id}',
    'ServiceUpdate POST /services/{id}/update',
    'ServiceLogs GET /services/{id}/logs',
    'TaskList GET /tasks',
    'TaskInspect GET /tasks/{id}',
    'TaskLogs GET /tasks/{id}/logs',
    'SecretList GET /secrets',
    'SecretCreate POST /secrets/create',
    'SecretInspect GET /secrets/{id}',
    'SecretDelete DELETE /secrets/{id}',
    'SecretUpdate POST /secrets/{id}/update',
    'ConfigList GET /configs',
    'ConfigCreate POST /configs/create',
    'ConfigInspect GET /configs/{id}',
    'ConfigDelete DELETE /configs/{id}',
    'ConfigUpdate POST /configs/{id}/update',
  ]),
  ...refusals(DEBUG, [
    'DebugVars GET /debug/vars',
    'DebugPprof GET /debug/pprof',
    'DebugProfile GET /debug/pprof/{name}',
  ]),
];

function refusals(says: string, rows: readonly string[]): Endpoint[] {
  return rows.map((text) => {
    const space = text.indexOf(' ');
    return no(text.slice(0, space), text.slice(space + 1), says);
  });
}

const BY_NAME = new Map(ENDPOINTS.map((endpoint) => [endpoint.name, endpoint]));

/** The row of that name; null if there is none. */
export function endpointOf(name: string): Endpoint | null {
  return BY_NAME.get(name) ?? null;
}
