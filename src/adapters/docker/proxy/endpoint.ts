import type { Context } from './context.ts';
import { misread, quoted, refuse } from './refusal.ts';
import { dropped, entries, int, like, never, object, text, texts } from './shape.ts';

const ADDRESS = /^[0-9a-fA-F.:]{0,45}$/;

/** The engine's word for the network that a container asks for; '' and `bridge` mean the job's. */
export function networkMode(mode: string, where: string, context: Context): string {
  if (mode === 'none') return 'none';
  if (mode === 'host') refuse(`${where} \`host\` would put the container on the host's network. Leave it out.`);
  if (mode.startsWith('container:')) {
    return `container:${context.container(mode.slice('container:'.length), { self: true }).id}`;
  }
  if (mode === '' || mode === 'default' || mode === 'bridge') return context.job.network ?? 'none';
  return context.network(mode).name;
}

/** `NetworkingConfig`: each network by the engine's name; the container is known in each by its plain name too. */
export function networkingConfig(
  value: unknown,
  mode: string,
  plain: string | null,
  context: Context,
): Record<string, unknown> | null {
  const given = object(value ?? {}, 'NetworkingConfig', {
    EndpointsConfig: (config, where) =>
      entries(config, where).map(([name, settings]) => [
        networkOf(name, context),
        endpoint(settings, where, plain, context),
      ]),
  })['EndpointsConfig'] as [string, Record<string, unknown>][] | undefined;
  if (mode === 'none' || mode.startsWith('container:')) return null;
  const all = new Map(given ?? []);
  if (!all.has(mode)) all.set(mode, endpoint(null, '', plain, context));
  // The first is the one that NetworkMode names: engines before 1.44 take no more.
  const first = all.get(mode);
  all.delete(mode);
  return { EndpointsConfig: Object.fromEntries([[mode, first], ...all]) };
}

/** What a container is to a network, for create and connect. */
export function endpoint(
  value: unknown,
  where: string,
  plain: string | null,
  context: Context,
): Record<string, unknown> {
  const given = object(value ?? {}, where, {
    IPAMConfig: (config, at) =>
      object(config, at, {
        IPv4Address: like(ADDRESS),
        IPv6Address: like(ADDRESS),
        LinkLocalIPs: never('may not be set.'),
      }),
    Links: (links, at) =>
      texts(links, at).map((item) => {
        const [name, alias] = item.split(':');
        return `${context.container(name ?? '').name}:${alias ?? name}`;
      }),
    Aliases: (aliases, at) =>
      texts(aliases, at).map((alias) =>
        /^[a-zA-Z0-9_.-]{1,250}$/.test(alias) ? alias : misread(`${at} has ${quoted(alias)}.`),
      ),
    MacAddress: like(/^[0-9a-fA-F:-]{0,17}$/),
    GwPriority: int,
    DriverOpts: never("are instructions to the host's network driver."),
    // The engine's answers have these: clients send them back.
    NetworkID: dropped,
    EndpointID: dropped,
    Gateway: dropped,
    IPAddress: dropped,
    IPPrefixLen: dropped,
    IPv6Gateway: dropped,
    GlobalIPv6Address: dropped,
    GlobalIPv6PrefixLen: dropped,
    DNSNames: dropped,
  });
  const aliases = [...new Set([...((given['Aliases'] ?? []) as string[]), ...(plain === null ? [] : [plain])])];
  return { ...given, ...(aliases.length === 0 ? {} : { Aliases: aliases }) };
}

function networkOf(name: string, context: Context): string {
  if (name === 'host') refuse("the network `host` is the host's.");
  if (name === 'none') return 'none';
  // Clients name the usual network also where they want nothing of it.
  if (['', 'default', 'bridge'].includes(name)) return context.job.network ?? 'none';
  return context.network(text(name, 'EndpointsConfig')).name;
}
