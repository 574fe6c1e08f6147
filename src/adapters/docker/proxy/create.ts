import type { Matched, Order } from './contract.ts';
import type { Context } from './context.ts';
import { networkingConfig } from './endpoint.ts';
import { hostConfig } from './hostconfig.ts';
import { unnamedVolumes } from './mounts.ts';
import { misread, quoted } from './refusal.ts';
import { pathOf, requestOf } from './request.ts';
import { LEFT_TO_US, leftToUs } from './resources.ts';
import { between, dropped, type Fields, flag, int, labels, like, nameSet, object, text, texts } from './shape.ts';

const NAME = /^\/?[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/;

/** POST /containers/create: the body that goes on is built from known options alone. */
export function createContainer(matched: Matched, body: unknown, context: Context): Order {
  const { job } = context;
  const plain = plainName(matched);
  let unnamed: readonly unknown[] = [];
  const given = object(body, '', {
    ...CONFIG,
    Image: text,
    Volumes: (value, where) => {
      unnamed = unnamedVolumes(value, where, context);
      return undefined;
    },
    // Some clients repeat the query here.
    name: dropped,
    platform: dropped,
    HostConfig: (value) => value,
    NetworkingConfig: (value) => value,
  });
  const { HostConfig, NetworkingConfig, Image, ...config } = given;
  if (typeof Image !== 'string' || Image === '') return misread('No image is given.');
  const host = hostConfig(HostConfig, unnamed, context);
  const networking = networkingConfig(NetworkingConfig, String(host['NetworkMode']), plain, context);
  const query = new Map<string, readonly string[]>([['name', [job.namePrefix + (plain ?? context.nonce)]]]);
  const platform = matched.query.get('platform');
  if (platform) query.set('platform', platform);
  return requestOf(matched, pathOf(matched, '/containers/create', query), {
    json: {
      ...config,
      Image: context.image(Image).name,
      Labels: {
        ...(config['Labels'] as object | undefined),
        ...job.labels,
        [LEFT_TO_US]: leftToUs((HostConfig ?? {}) as Readonly<Record<string, unknown>>),
      },
      HostConfig: host,
      ...(networking === null ? {} : { NetworkingConfig: networking }),
    },
  });
}

/** Of a container or an image: nothing in it reaches the host. */
export const CONFIG: Fields = {
  Hostname: like(/^[a-zA-Z0-9_.-]{0,253}$/),
  Domainname: like(/^[a-zA-Z0-9_.-]{0,253}$/),
  User: text,
  AttachStdin: flag,
  AttachStdout: flag,
  AttachStderr: flag,
  ExposedPorts: nameSet,
  Tty: flag,
  OpenStdin: flag,
  StdinOnce: flag,
  Env: texts,
  Cmd: command,
  Healthcheck: (value, where) =>
    object(value, where, {
      Test: texts,
      Interval: pause,
      Timeout: int,
      Retries: between(0, 1_000_000),
      StartPeriod: int,
      StartInterval: pause,
    }),
  ArgsEscaped: flag,
  WorkingDir: text,
  Entrypoint: command,
  NetworkDisabled: flag,
  MacAddress: like(/^[0-9a-fA-F:-]{0,17}$/),
  OnBuild: texts,
  Labels: labels,
  StopSignal: like(/^[A-Za-z0-9+-]{0,20}$/),
  StopTimeout: int,
  Shell: texts,
  // Once the client's own business, and ignored by the engine.
  PublishService: dropped,
  PortSpecs: dropped,
};

/** Nanoseconds between checks: each starts a process by the engine's hand, which the limits don't count. */
function pause(value: unknown, where: string): number {
  const given = int(value, where);
  return given > 0 ? Math.max(given, 500_000_000) : 0;
}

/** The name that the client gives; null: none. */
function plainName(matched: Matched): string | null {
  const name = matched.query.get('name')?.[0] ?? '';
  if (name === '') return null;
  if (!NAME.test(name)) misread(`${quoted(name)} is not a name for a container.`);
  return name.replace(/^\//, '');
}

/** Engines take a text for a list of one. */
function command(value: unknown, where: string): string[] {
  return typeof value === 'string' ? [text(value, where)] : texts(value, where);
}
