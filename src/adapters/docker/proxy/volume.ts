import type { Matched, Order } from './contract.ts';
import type { Context } from './context.ts';
import { volumeName } from './mounts.ts';
import { picked } from './network.ts';
import { quoted, refuse } from './refusal.ts';
import { pathOf, requestOf, segment } from './request.ts';
import { labels, never, object, text, textIn } from './shape.ts';

/** POST /volumes/create: the local driver without options, for with them it mounts paths of the host. */
export function createVolume(matched: Matched, body: unknown, context: Context): Order {
  const { job } = context;
  const given = object(body ?? {}, '', {
    Name: text,
    Driver: (value, where) => {
      if (value !== '' && value !== 'local')
        refuse(`${where} ${quoted(value)}: other drivers than local run on the host.`);
      return undefined;
    },
    DriverOpts: never("would mount paths, devices or shares by the host's hand. Use a volume without options."),
    ClusterVolumeSpec: never('is for Swarm.'),
    Labels: labels,
  });
  const name = textIn(given, 'Name');
  return requestOf(matched, pathOf(matched, '/volumes/create'), {
    json: {
      Name: name === '' ? job.namePrefix + context.nonce : volumeName(name, context),
      Driver: 'local',
      Labels: { ...(given['Labels'] as object | undefined), ...job.labels },
    },
  });
}

export function oneVolume(matched: Matched, context: Context): Order {
  const { name } = context.volume(matched.params['name'] ?? '');
  return requestOf(matched, pathOf(matched, `/volumes/${segment(name)}`, picked(matched, ['force'])));
}
