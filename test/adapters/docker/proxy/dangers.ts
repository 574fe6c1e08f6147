import type { JobFacts } from '#src/adapters/docker/proxy/contract.ts';

/**
 * What a body for POST /containers/create would let a container do to the host or to others, found without the rules'
 * own tables: by the engine's documentation. Empty: nothing.
 */
export function dangersOf(body: unknown, job: JobFacts): string[] {
  const found: string[] = [];
  const say = (bad: boolean, what: string) => {
    if (bad) found.push(what);
  };
  const top = body as Record<string, unknown>;
  const host = (top['HostConfig'] ?? {}) as Record<string, unknown>;
  const lower = new Map<string, unknown>();
  for (const [name, value] of Object.entries(host)) {
    say(lower.has(name.toLowerCase()), `${name} twice for Go`);
    lower.set(name.toLowerCase(), value);
  }
  const get = (name: string) => lower.get(name);
  const list = (name: string) => (get(name) ?? []) as unknown[];
  say(
    Object.keys(top).some((name) => name.toLowerCase() === 'hostconfig' && name !== 'HostConfig'),
    'a second HostConfig',
  );
  say(get('privileged') !== false, 'Privileged');
  say(JSON.stringify(get('capdrop')) !== '["ALL"]', 'CapDrop');
  say(
    list('capadd').some((name) => !job.capabilities.includes(String(name))),
    'CapAdd',
  );
  say(JSON.stringify(get('securityopt')) !== '["no-new-privileges"]', 'SecurityOpt');
  for (const name of [
    'devices',
    'devicerequests',
    'devicecgrouprules',
    'binds',
    'cgroupparent',
    'volumedriver',
    'storageopt',
    'annotations',
    'maskedpaths',
    'readonlypaths',
    'pidmode',
    'utsmode',
    'usernsmode',
    'cgroup',
    'oomkilldisable',
    'portbindings',
    'blkioweightdevice',
    'blkiodevicereadbps',
    'blkiodevicewritebps',
    'blkiodevicereadiops',
    'blkiodevicewriteiops',
    'cpurealtimeperiod',
    'cpurealtimeruntime',
    'isolation',
    'containeridfile',
    'capabilities',
    'kernelmemory',
  ])
    say(lower.has(name), name);
  say(get('runtime') !== undefined && get('runtime') !== job.runtime, 'Runtime');
  say(!['private', 'none', 'shareable', undefined].includes(get('ipcmode') as string), 'IpcMode');
  say(!['private', undefined].includes(get('cgroupnsmode') as string), 'CgroupnsMode');
  say(get('publishallports') === true, 'PublishAllPorts');
  say((get('restartpolicy') as { Name?: string } | undefined)?.Name !== 'no', 'RestartPolicy');
  say(Number(get('oomscoreadj') ?? 0) < 0, 'OomScoreAdj');
  const memory = Number(get('memory'));
  say(!(memory > 0 && memory <= job.limits.memory), 'Memory');
  say(get('memoryswap') !== memory, 'MemorySwap');
  say(!(Number(get('pidslimit')) > 0 && Number(get('pidslimit')) <= job.limits.pids), 'PidsLimit');
  if (job.limits.cpus !== null) {
    const nano = Number(get('nanocpus'));
    say(!(nano > 0 && nano <= job.limits.cpus * 1e9), 'NanoCpus');
  }
  say(lower.has('cpuquota'), 'CpuQuota');
  say(Number(get('shmsize') ?? 0) > job.limits.memory, 'ShmSize');
  const log = get('logconfig') as { Type?: string; Config?: Record<string, string> } | undefined;
  say(!['json-file', 'local', 'none'].includes(String(log?.Type)), 'LogConfig');
  say(log?.Type !== 'none' && !(Number(log?.Config?.['max-size']) <= 64 * 1024 ** 2), 'log size');
  const mode = String(get('networkmode'));
  const own = [job.network, 'none', 'slipway-17-1-front'].includes(mode) || /^container:[0-9a-f]{64}$/.test(mode);
  say(!own, `NetworkMode ${mode}`);
  for (const link of list('links')) say(!String(link).startsWith(job.namePrefix), 'Links');
  for (const from of list('volumesfrom')) say(!/^[0-9a-f]{64}(?::(?:ro|rw|z|Z))?$/.test(String(from)), 'VolumesFrom');
  for (const name of Object.keys(get('sysctls') ?? {})) say(!name.startsWith('net.'), `sysctl ${name}`);
  for (const [target, options] of Object.entries((get('tmpfs') ?? {}) as Record<string, string>)) {
    say(!target.startsWith('/') || /bind|loop|\//.test(options), 'Tmpfs');
  }
  for (const mount of list('mounts') as Record<string, unknown>[]) {
    const source = mount['Source'] as string | undefined;
    const options = (mount['VolumeOptions'] ?? {}) as Record<string, unknown>;
    if (mount['Type'] === 'bind') {
      const ok = source === job.workspaceSource || source === job.socketSource || source?.startsWith('/safe/') === true;
      say(!ok, `bind of ${source}`);
      say((mount['BindOptions'] as { Propagation?: string }).Propagation !== 'rprivate', 'Propagation');
    } else if (mount['Type'] === 'volume') {
      say(source !== undefined && !source.startsWith(job.namePrefix), `volume ${source}`);
      say('DriverConfig' in options, 'DriverConfig');
      const labels = (options['Labels'] ?? {}) as Record<string, string>;
      say(
        Object.entries(job.labels).some(([name, value]) => labels[name] !== value),
        'a volume without label',
      );
    } else say(mount['Type'] !== 'tmpfs', `mount ${String(mount['Type'])}`);
  }
  const labels = (top['Labels'] ?? {}) as Record<string, string>;
  say(
    Object.entries(job.labels).some(([name, value]) => labels[name] !== value),
    'Labels',
  );
  const networking = (top['NetworkingConfig'] ?? {}) as { EndpointsConfig?: Record<string, Record<string, unknown>> };
  for (const [name, one] of Object.entries(networking.EndpointsConfig ?? {})) {
    say(![job.network, 'none', 'slipway-17-1-front'].includes(name), `network ${name}`);
    say('DriverOpts' in one, 'DriverOpts');
  }
  return found;
}
