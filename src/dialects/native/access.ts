import type { HostAccess } from '#src/model/pipeline.ts';
import { WORKSPACE } from '#src/model/workspace.ts';
import type { Path } from '../yaml.ts';
import { type Report, show } from './report.ts';
import type { RawJob } from './schema.ts';
import { asList } from './values.ts';

type Parts = { readonly [K in 'privileged' | 'network' | 'devices' | 'volumes' | 'services']?: RawJob[K] };
type Volume = HostAccess['volumes'][number];

/** Folders of the job's container that are Slipway's. */
const OWN_FOLDERS = [WORKSPACE, '/slipway', '/run/slipway'];

/** What the job asks for that reaches into the host; nothing if it asks for nothing. */
export function compileAccess(report: Report, path: Path, raw: Parts): { readonly access?: HostAccess } {
  const devices = asList(raw.devices).filter((device, index) => {
    const place = [...path, 'devices', ...(Array.isArray(raw.devices) ? [index] : [])];
    if (/^\/dev\/./.test(device) && isPlain(device)) return true;
    report.error(
      'bad-device',
      report.yaml.at(place),
      `${show(place)} is no device: "${device}".`,
      'Write its path on the host: /dev/kvm.',
    );
    return false;
  });
  const volumes = asList(raw.volumes).flatMap((volume, index): readonly Volume[] => {
    const place = [...path, 'volumes', ...(Array.isArray(raw.volumes) ? [index] : [])];
    return volumeOf(report, place, volume);
  });
  for (const [index, { target }] of volumes.entries()) {
    if (volumes.findIndex((volume) => volume.target === target) === index) continue;
    report.error('bad-volume', report.yaml.at([...path, 'volumes']), `Two volumes are mounted on ${target}.`);
  }
  const network = raw.network ?? 'private';
  if (network !== 'private' && Object.keys(raw.services ?? {}).length > 0) {
    report.error(
      'services-without-network',
      report.yaml.at([...path, 'network']),
      `${show(path)} has services, which it reaches only in a network of its own, and asks for network: ${network}.`,
      'Remove "network" or "services".',
    );
  }
  const privileged = raw.privileged ?? false;
  if (!privileged && network === 'private' && devices.length === 0 && volumes.length === 0) return {};
  return { access: { privileged, network, devices, volumes } };
}

function volumeOf(report: Report, path: Path, text: string): readonly Volume[] {
  const [source = '', target = '', mode, ...more] = text.split(':');
  const wrong = (why: string) => {
    report.error(
      'bad-volume',
      report.yaml.at(path),
      `${show(path)} is no volume: ${why}.`,
      'Write it as /on/the/host:/in/the/job, with :ro to read only.',
    );
    return [];
  };
  if (more.length > 0) return wrong(`"${text}" has a part too many`);
  if (mode !== undefined && mode !== 'ro' && mode !== 'rw') return wrong(`"${mode}" is neither ro nor rw`);
  for (const folder of [source, target]) {
    if (!folder.startsWith('/') || !isPlain(folder)) return wrong(`"${folder}" is no absolute path, or has .. in it`);
  }
  const inside = target.replace(/\/+$/, '');
  const own = OWN_FOLDERS.find((folder) => `${folder}/`.startsWith(`${inside}/`) || inside.startsWith(`${folder}/`));
  if (own !== undefined) return wrong(`"${target}" would hide ${own}, which is Slipway's`);
  return [{ source, target: inside, readOnly: mode === 'ro' }];
}

function isPlain(path: string): boolean {
  return !path.split('/').includes('..') && !/[\0\n\r\\]/.test(path);
}
