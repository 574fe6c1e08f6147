import { buildImage, cancelBuild, checkBuildKit } from './build.ts';
import type { LocalAnswer, Matched, Order, Refusal, Rules } from './contract.ts';
import { BODY_LIMIT } from './contract.ts';
import { asking, type Context, knowing } from './context.ts';
import { createContainer } from './create.ts';
import { endpointOf } from './endpoints.ts';
import { updated } from './hostconfig.ts';
import {
  askRegistry,
  commitContainer,
  pullImage,
  pushImage,
  readImage,
  removeImage,
  saveImages,
  tagImage,
} from './images.ts';
import { parseJson } from './json.ts';
import { isList, listOf } from './lists.ts';
import { match } from './match.ts';
import { missing } from './missing.ts';
import { connectNetwork, createNetwork, disconnectNetwork, inspectNetwork, removeNetwork } from './network.ts';
import { misread, noNetwork, quoted, refuse, refused, Refused, wrong } from './refusal.ts';
import { pathOf, requestOf, segment } from './request.ts';
import { between, dropped, flag, list, never, object, text, texts } from './shape.ts';
import { createVolume, oneVolume } from './volume.ts';

const SESSION = [
  'x-docker-expose-session-uuid',
  'x-docker-expose-session-name',
  'x-docker-expose-session-sharedkey',
  'x-docker-expose-session-grpc-method',
];

// The rules of a job's own Docker engine, as contract.ts tells them.

export { match, missing };
export {
  visible as visibleImage,
  answerOf as answer,
  eventOf as event,
  plainMessage as errorMessage,
} from './answers.ts';

export const parseBody: Rules['parseBody'] = (matched, body) =>
  guarded(() => {
    if (body.length > BODY_LIMIT) misread('The body is too long.');
    if (matched.body !== 'json' || body.trim() === '') return { kind: 'body', json: null };
    const json = parseJson(body);
    if (typeof json !== 'object' || Array.isArray(json)) misread('The body must be an object.');
    return { kind: 'body', json };
  });

export const needs: Rules['needs'] = (matched, body, job) =>
  guarded(() => asking(job, (context) => order(matched, body, context)));

export const rewrite: Rules['rewrite'] = (matched, body, found, job) =>
  guarded(() => order(matched, body, knowing(job, found)));

/** A refusal comes back as a value; what nobody thought of is refused, too. */
function guarded<T>(run: () => T): T | Refusal {
  try {
    return run();
  } catch (error) {
    if (error instanceof Refused) return error.refusal;
    return wrong('The request cannot be understood.');
  }
}

type Rule = (matched: Matched, body: unknown, context: Context) => Order;

const RULES: Readonly<Record<string, Rule>> = {
  SystemPing: (matched) => requestOf(matched, '/_ping'),
  SystemPingHead: (matched) => requestOf(matched, '/_ping'),
  SystemVersion: (matched) => requestOf(matched, pathOf(matched, '/version')),
  SystemInfo: (matched) => requestOf(matched, pathOf(matched, '/info')),
  SystemDataUsage: () =>
    local({ LayersSize: 0, Images: [], Containers: [], Volumes: [], BuildCache: [], BuilderSize: 0 }),
  SystemAuth: () => local({ Status: 'Login Succeeded', IdentityToken: '' }),
  BuildPrune: () => local({ CachesDeleted: [], SpaceReclaimed: 0 }),
  ImagePrune: () => local({ ImagesDeleted: [], SpaceReclaimed: 0 }),

  ContainerCreate: createContainer,
  ContainerStart: (matched, _, context) => {
    if (value(matched, 'checkpoint') !== '' || value(matched, 'checkpoint-dir') !== '') {
      refuse("a container can't be started from a checkpoint: they are kept on the host.");
    }
    return started(matched, context, 'start', []);
  },
  ContainerRestart: (matched, _, context) => started(matched, context, 'restart', ['t', 'signal']),
  ContainerTop: (matched, _, context) => {
    // ps runs on the host.
    const args = value(matched, 'ps_args');
    if (!/^(?:-?[A-Za-z]{1,8})?(?: [a-z,]{1,100})?$/.test(args))
      refuse(`docker top can't be given ${quoted(args)}: try docker exec with ps.`);
    return ofContainer(matched, context, 'top', ['ps_args']);
  },
  ContainerUpdate: (matched, body, context) => {
    const json = updated(body, context.job);
    const { id } = context.container(matched.params['id'] ?? '');
    const effect = { do: 'update', container: id } as const;
    return requestOf(matched, containerPath(matched, context, 'update'), { json, effect });
  },
  ContainerRename: (matched, _, context) => {
    const name = value(matched, 'name').replace(/^\//, '');
    if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/.test(name)) misread(`${quoted(name)} is not a name for a container.`);
    const query = new Map([['name', [context.job.namePrefix + name]]]);
    return requestOf(matched, containerPath(matched, context, 'rename', query));
  },
  ContainerDelete: (matched, _, context) => {
    if (value(matched, 'link') === '1') refuse("links can't be removed: remove the container.");
    const force = matched.query.get('force');
    // Unnamed volumes have no label: nobody would find them afterwards.
    const query = new Map<string, readonly string[]>([['v', ['1']], ...(force ? [['force', force] as const] : [])]);
    const { id } = context.container(matched.params['id'] ?? '');
    return requestOf(matched, pathOf(matched, `/containers/${segment(id)}`, query));
  },
  ContainerExec: (matched, body, context) => {
    const json = object(body, '', {
      AttachStdin: flag,
      AttachStdout: flag,
      AttachStderr: flag,
      ConsoleSize: consoleSize,
      DetachKeys: text,
      Tty: flag,
      Env: texts,
      Cmd: texts,
      User: text,
      WorkingDir: text,
      Privileged: never('would let the process into the host.'),
      // Some clients repeat the path here.
      Container: dropped,
      Detach: dropped,
    });
    return requestOf(matched, containerPath(matched, context, 'exec'), { json: { ...json, Privileged: false } });
  },
  ExecStart: (matched, body, context) => {
    const json = object(body ?? {}, '', { Detach: flag, Tty: flag, ConsoleSize: consoleSize });
    const { id } = context.exec(matched.params['id'] ?? '');
    const request = requestOf(matched, pathOf(matched, `/exec/${segment(id)}/start`), { json });
    return json['Detach'] === true ? { ...request, answer: 'stream' } : request;
  },

  ImageBuild: (matched, _, context) => buildImage(matched, context),
  BuildCancel: (matched, _, context) => cancelBuild(matched, context),
  ImageCreate: (matched, _, context) => pullImage(matched, context),
  ImageGetAll: (matched, _, context) => saveImages(matched, context),
  ImageInspect: (matched, _, context) => readImage(matched, context),
  ImageHistory: (matched, _, context) => readImage(matched, context),
  ImageGet: (matched, _, context) => readImage(matched, context),
  ImagePush: (matched, _, context) => pushImage(matched, context),
  ImageTag: (matched, _, context) => tagImage(matched, context),
  ImageDelete: (matched, _, context) => removeImage(matched, context),
  ImageCommit: commitContainer,
  DistributionInspect: (matched, _, context) => askRegistry(matched, context),
  Session: (matched, _, { job }) => {
    if (job.network === null) refuse(`${noNetwork(job)} So it can't build images.`);
    checkBuildKit(job);
    return requestOf(matched, pathOf(matched, '/session'), { headers: SESSION });
  },

  NetworkCreate: createNetwork,
  NetworkInspect: (matched, _, context) => inspectNetwork(matched, context),
  NetworkDelete: (matched, _, context) => removeNetwork(matched, context),
  NetworkConnect: connectNetwork,
  NetworkDisconnect: disconnectNetwork,
  VolumeCreate: createVolume,
  VolumeInspect: (matched, _, context) => oneVolume(matched, context),
  VolumeDelete: (matched, _, context) => oneVolume(matched, context),
};

function order(matched: Matched, body: unknown, context: Context): Order {
  if (isList(matched.endpoint)) return listOf(matched, context);
  const endpoint = endpointOf(matched.endpoint);
  if (!endpoint || endpoint.use === 'refused') return refused(endpoint?.says ?? 'this is not known here.');
  const rule = Object.hasOwn(RULES, matched.endpoint) ? RULES[matched.endpoint] : undefined;
  if (rule) return rule(matched, body, context);
  if (endpoint.use !== 'own') return refused('this is not known here.');
  const id = matched.params['id'] ?? '';
  const thing = endpoint.path.startsWith('/exec/') ? context.exec(id) : context.container(id);
  return requestOf(
    matched,
    pathOf(
      matched,
      endpoint.path.replace('{id}', () => segment(thing.id)),
      matched.query,
    ),
  );
}

function started(matched: Matched, context: Context, last: string, passed: readonly string[]): Order {
  const { id } = context.container(matched.params['id'] ?? '');
  const query = new Map([...matched.query].filter(([name]) => passed.includes(name)));
  return requestOf(matched, containerPath(matched, context, last, query), { effect: { do: 'start', container: id } });
}

function ofContainer(matched: Matched, context: Context, last: string, passed: readonly string[]): Order {
  const query = new Map([...matched.query].filter(([name]) => passed.includes(name)));
  return requestOf(matched, containerPath(matched, context, last, query));
}

function containerPath(
  matched: Matched,
  context: Context,
  last: string,
  query?: ReadonlyMap<string, readonly string[]>,
): string {
  return pathOf(matched, `/containers/${segment(context.container(matched.params['id'] ?? '').id)}/${last}`, query);
}

function consoleSize(given: unknown, where: string): unknown {
  return list(given, where)
    .slice(0, 2)
    .map((one) => between(0, 65_535)(one, where));
}

function value(matched: Matched, name: string): string {
  return matched.query.get(name)?.[0] ?? '';
}

function local(json: unknown): LocalAnswer {
  return { kind: 'answer', status: 200, json };
}
