import type { Matched, Order } from './contract.ts';
import type { Context } from './context.ts';
import { endpoint } from './endpoint.ts';
import { misread, quoted, refuse } from './refusal.ts';
import { pathOf, requestOf, segment } from './request.ts';
import { dropped, entries, flag, labels, list, never, object, text, textMap, textIn } from './shape.ts';

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/;
const RESERVED = ['bridge', 'host', 'none', 'default'];
const ADDRESSES =
  'may not be chosen: they could be those of a machine that the host has to reach. Leave it out, the engine finds free ones.';
const MTU = 'com.docker.network.driver.mtu';

/** POST /networks/create: a bridge with the server's options. */
export function createNetwork(matched: Matched, body: unknown, context: Context): Order {
  const { job, nonce } = context;
  const given = object(body, '', {
    Name: text,
    CheckDuplicate: dropped,
    Driver: (value, where) => {
      if (value !== '' && value !== 'bridge' && value !== 'default') {
        refuse(`${where} ${quoted(value)}: a job's networks are bridges.`);
      }
      return undefined;
    },
    Scope: (value, where) => {
      if (value !== '' && value !== 'local') refuse(`${where} ${quoted(value)}: a job's networks are local.`);
      return undefined;
    },
    Internal: flag,
    Attachable: flag,
    EnableIPv4: (value, where) => {
      if (!flag(value, where)) refuse(`${where} may not be off.`);
      return undefined;
    },
    EnableIPv6: never('is not possible: the rules that keep jobs apart are for IPv4. Leave it out.'),
    Ingress: never('is for Swarm.'),
    ConfigOnly: never('is for Swarm.'),
    ConfigFrom: (value, where) => object(value, where, { Network: never('is for Swarm.') }) && undefined,
    IPAM: (value, where) => {
      object(value, where, { Driver: ipamDriver, Options: never('are for other drivers.'), Config: ipamConfig });
      return undefined;
    },
    Options: (value, where) => {
      const options = textMap(value, where);
      const odd = Object.keys(options).find((name) => name !== MTU);
      if (odd !== undefined) refuse(`the network option ${quoted(odd)} changes the host's side of the network.`);
      const mtu = options[MTU] ?? '1500';
      if (!/^\d{3,5}$/.test(mtu) || Number(mtu) < 576 || Number(mtu) > 9216) misread(`${quoted(mtu)} is not an MTU.`);
      return options;
    },
    Labels: labels,
  });
  const name = textIn(given, 'Name');
  if (!NAME.test(name) || RESERVED.includes(name)) misread(`${quoted(name)} is not a name for a network of a job.`);
  const ours = Object.fromEntries(
    Object.entries(job.bridgeOptions).map(([key, value]) => [key, value.replaceAll('{nonce}', nonce.slice(0, 8))]),
  );
  return requestOf(matched, pathOf(matched, '/networks/create'), {
    json: {
      Name: job.namePrefix + name,
      CheckDuplicate: true,
      Driver: 'bridge',
      // A job without network gets none by a network of its own.
      Internal: given['Internal'] === true || job.network === null,
      Attachable: given['Attachable'] === true,
      EnableIPv6: false,
      Options: { ...(given['Options'] as object | undefined), ...ours },
      Labels: { ...(given['Labels'] as object | undefined), ...job.labels },
    },
    effect: { do: 'join' },
  });
}

const ipamDriver = (value: unknown, where: string) => {
  if (value !== '' && value !== 'default') refuse(`${where} ${quoted(value)} runs on the host.`);
  return undefined;
};

const ipamConfig = (value: unknown, where: string) => {
  for (const item of list(value, where))
    if (entries(item, where).some(([, one]) => one !== null && one !== '')) {
      object(item, where, {
        Subnet: never(ADDRESSES),
        IPRange: never(ADDRESSES),
        Gateway: never(ADDRESSES),
        AuxiliaryAddresses: never(ADDRESSES),
        AuxAddress: never(ADDRESSES),
      });
    }
  return undefined;
};

export function inspectNetwork(matched: Matched, context: Context): Order {
  const { id } = context.network(param(matched));
  return requestOf(matched, pathOf(matched, `/networks/${segment(id)}`, picked(matched, ['verbose'])));
}

export function removeNetwork(matched: Matched, context: Context): Order {
  const { id } = own(matched, context);
  return requestOf(matched, pathOf(matched, `/networks/${segment(id)}`), { effect: { do: 'leave', network: id } });
}

export function connectNetwork(matched: Matched, body: unknown, context: Context): Order {
  const { id } = context.network(param(matched));
  let config: unknown = null;
  const given = object(body, '', {
    Container: text,
    EndpointConfig: (value) => {
      config = value;
      return undefined;
    },
  });
  const name = textIn(given, 'Container').replace(/^\//, '');
  const container = context.container(name);
  const plain = container.name.startsWith(context.job.namePrefix)
    ? container.name.slice(context.job.namePrefix.length)
    : null;
  return requestOf(matched, pathOf(matched, `/networks/${segment(id)}/connect`), {
    json: { Container: container.id, EndpointConfig: endpoint(config, 'EndpointConfig', plain, context) },
  });
}

export function disconnectNetwork(matched: Matched, body: unknown, context: Context): Order {
  const { id } = context.network(param(matched));
  const given = object(body, '', { Container: text, Force: flag });
  const container = context.container(textIn(given, 'Container').replace(/^\//, ''));
  return requestOf(matched, pathOf(matched, `/networks/${segment(id)}/disconnect`), {
    json: { Container: container.id, Force: given['Force'] === true },
  });
}

/** Of the networks that the job made: its own one, `bridge`, stays. */
function own(matched: Matched, context: Context) {
  const name = param(matched);
  if (name === 'bridge' || name === context.job.network) refuse('`bridge` is the network of the job itself: it stays.');
  return context.network(name);
}

function param(matched: Matched): string {
  return matched.params['id'] ?? '';
}

export function picked(matched: Matched, names: readonly string[]): Map<string, readonly string[]> {
  return new Map([...matched.query].filter(([name]) => names.includes(name)));
}
