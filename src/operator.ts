import { existsSync, readFileSync } from 'node:fs';
import { delimiter, resolve } from 'node:path';
import { z } from 'zod';
import { type Path, readYaml, type YamlFile } from '#src/dialects/yaml.ts';
import { type Problem, problemsOf } from '#src/dialects/zod-problems.ts';
import type { Policy, StrangersRule } from '#src/engine/ports.ts';
import type { Span } from '#src/model/diagnostic.ts';
import { matchesPattern } from '#src/model/pattern.ts';
import type { HostAccess, RolloutTarget } from '#src/model/pipeline.ts';
import { fullName, type Repository } from '#src/model/repository.ts';
import { suggestion } from '#src/model/suggest.ts';
import { type DeployRule, deployPolicy, deployRule, prometheusEntry } from './operator-deploy.ts';
import { SettingsError } from './settings.ts';

/** What the operator's file says, with credentials read from where it points. */
export interface Operator {
  readonly registries: ReadonlyMap<string, RegistryCredentials>;
  /** By name; `default` serves the targets that name none. */
  readonly clusters: ReadonlyMap<string, ClusterConfig>;
  /** Prometheus servers by name. */
  readonly prometheus: ReadonlyMap<string, { readonly url: string; readonly token: string | null }>;
  readonly policy: Policy;
}

export interface RegistryCredentials {
  readonly username: string;
  readonly password: string;
}

export interface ClusterConfig {
  readonly kubeconfig: string;
  readonly context: string | null;
}

/** What a job asks for is compared as it is written: nothing else would ever fit. */
const volume = z
  .string()
  .regex(
    /^\/[^:\0\n\r\\]*$/,
    'must be an absolute path of the host alone: where it is mounted, and whether for writing, the pipeline says',
  )
  .refine((path) => !path.split('/').includes('..'), 'must be a path without ..');
const device = z.string().regex(/^\/dev\/[^:\0]+$/, 'must be a path in /dev alone: /dev/kvm');
const registryHost = z.string().regex(/^[\w.*-]+(:\d+)?$/, 'must be a host, with a port if need be: ghcr.io');
const globs = z.array(z.string().min(1));
const images = z.array(z.string().regex(/^[^:@]+(:\d+\/[^:@]+)?$/, 'must be registry/name without a tag or https://'));
const schema = z.strictObject({
  registries: z
    .record(
      z.string().regex(/^[\w.-]+(:\d+)?$/, 'must be a host, with a port if need be: ghcr.io'),
      z.strictObject({
        username: z.string().min(1),
        password: z.string().min(1).optional(),
        'password-file': z.string().min(1).optional(),
      }),
    )
    .optional(),
  clusters: z
    .record(z.string(), z.strictObject({ kubeconfig: z.string().min(1), context: z.string().min(1).optional() }))
    .optional(),
  prometheus: z.record(z.string().min(1), prometheusEntry).optional(),
  repositories: z
    .record(
      z.string().regex(/^[\w.-]+\/[\w.*-]+$/, 'must look like owner/name or owner/*'),
      z.strictObject({
        push: images.optional(),
        rollout: z
          .array(
            z.strictObject({
              cluster: z.string().min(1).optional(),
              namespace: z.string().min(1),
              workloads: globs.optional(),
            }),
          )
          .optional(),
        ...deployRule,
        // What becomes of pull requests of people without write permission.
        strangers: z
          .strictObject({
            approval: z.enum(['always', 'first-time', 'never']).optional(),
            network: z.enum(['private', 'none']).optional(),
          })
          .optional(),
        jobs: z
          .strictObject({
            runtime: z
              .string()
              .regex(/^[\w.-]+$/, 'must be the name of a runtime of the engine: runsc')
              .optional(),
            docker: z.boolean().optional(),
            privileged: z.boolean().optional(),
            'host-network': z.boolean().optional(),
            devices: z.array(device).optional(),
            volumes: z.array(volume).optional(),
            registries: z.array(registryHost).optional(),
          })
          .optional(),
      }),
    )
    .optional(),
});

type OperatorFile = z.infer<typeof schema>;

/**
 * Reads the operator's file. `kubeconfig` is the setting KUBECONFIG, the default cluster unless the file names one.
 * Throws SettingsError with file, line and column of every mistake.
 */
export function readOperator(file: string | null, kubeconfig: string | null): Operator {
  const content = file === null ? {} : parse(file);
  const registries = new Map<string, RegistryCredentials>();
  for (const [name, entry] of Object.entries(content.registries ?? {})) {
    registries.set(name, { username: entry.username, password: passwordOf(name, entry, file ?? '') });
  }
  const clusters = new Map<string, ClusterConfig>();
  if (kubeconfig !== null) clusters.set('default', { kubeconfig, context: null });
  for (const [name, entry] of Object.entries(content.clusters ?? {})) {
    clusters.set(name, { kubeconfig: resolve(entry.kubeconfig), context: entry.context ?? null });
  }
  const prometheus = new Map(
    Object.entries(content.prometheus ?? {}).map(([name, entry]) => [
      name,
      { url: entry.url, token: tokenOf(name, entry) },
    ]),
  );
  refuseUnknown(content);
  return { registries, clusters, prometheus, policy: policyOf(content, clusters) };
}

/** A misspelt name would allow nothing, silently. The cluster `default` may come from the settings, and may be missing. */
function refuseUnknown({ clusters, prometheus, repositories }: OperatorFile): void {
  const refuse = (pattern: string, what: string, name: string, known: object | undefined, section: string): void => {
    if ((what === 'cluster' && name === 'default') || Object.hasOwn(known ?? {}, name)) return;
    throw new SettingsError(
      `SLIPWAY_CONFIG: repositories.${pattern} names the ${what} "${name}", which isn't under ${section}.`,
    );
  };
  for (const [pattern, { rollout, previews, checks }] of Object.entries(repositories ?? {})) {
    for (const { cluster = 'default' } of [...(rollout ?? []), ...(previews ? [previews] : [])]) {
      refuse(pattern, 'cluster', cluster, clusters, 'clusters');
    }
    for (const name of checks?.prometheus ?? []) refuse(pattern, 'Prometheus server', name, prometheus, 'prometheus');
  }
}

/**
 * Throws SettingsError if a kubeconfig isn't there or isn't one. Whether its cluster answers shows when it is used. Of
 * several paths one is enough, as with kubectl.
 */
export function checkKubeconfigs(clusters: ReadonlyMap<string, ClusterConfig>): void {
  for (const [name, { kubeconfig }] of clusters) {
    const setting =
      name === 'default'
        ? 'KUBECONFIG, or the cluster default of SLIPWAY_CONFIG,'
        : `Cluster ${name} of SLIPWAY_CONFIG`;
    const files = kubeconfig.split(delimiter).filter((file) => existsSync(file));
    if (files.length === 0) throw new SettingsError(`${setting} names ${kubeconfig}, and there is no such file.`);
    for (const file of files) {
      const { value, diagnostics } = readYaml(file, read(file, `kubeconfig of ${name}`));
      const isOne = diagnostics.length === 0 && typeof value === 'object' && value !== null && 'clusters' in value;
      if (!isOne) throw new SettingsError(`${setting} names ${file}, which is no kubeconfig.`);
    }
  }
}

/** The rules of the file as answers. What no rule allows is refused; the answer says which line would allow it. */
function policyOf(content: OperatorFile, clusters: ReadonlyMap<string, unknown>): Policy {
  const rules = Object.entries(content.repositories ?? {}).map(([pattern, rule]) => ({
    matches: glob(pattern.toLowerCase()),
    rule,
  }));
  const rulesFor = (repository: Repository) => {
    const name = fullName(repository).toLowerCase();
    return rules.filter((r) => r.matches(name)).map((r) => r.rule);
  };
  return {
    refusePush(repository, image) {
      if (rulesFor(repository).some((rule) => rule.push?.some((pattern) => glob(pattern)(image)))) return null;
      return `${fullName(repository)} may not push to ${image}: the operator's file (SLIPWAY_CONFIG) doesn't allow it. An operator adds "${image}" to repositories: ${fullName(repository)}: push.`;
    },
    refuseRollout(repository, target) {
      const cluster = target.cluster ?? 'default';
      const allowed = rulesFor(repository).some((rule) => rule.rollout?.some((r) => allows(r, cluster, target)));
      if (!allowed) {
        return `${fullName(repository)} may not roll out to ${target.kind} ${target.namespace}/${target.name} in cluster "${cluster}": the operator's file (SLIPWAY_CONFIG) doesn't allow it. An operator adds { cluster: ${cluster}, namespace: ${target.namespace} } to repositories: ${fullName(repository)}: rollout.`;
      }
      if (clusters.has(cluster)) return null;
      const how =
        cluster === 'default'
          ? 'An operator sets KUBECONFIG, or adds it under clusters.'
          : 'An operator adds it under clusters.';
      return `Cluster "${cluster}" isn't known to this server. ${how}`;
    },
    strangers: (repository) => strangersRule(rulesFor(repository).map((rule) => rule.strangers ?? {})),
    refuseAccess(repository, access) {
      const refused = accessWanted(access).filter(
        ({ allowed }) => !rulesFor(repository).some((rule) => allowed(rule.jobs ?? {})),
      );
      if (refused.length === 0) return null;
      const what = refused.map((wanted) => wanted.what).join(', ');
      const keys = [...new Set(refused.map((wanted) => wanted.key))]
        .map((key) => [key, refused.flatMap((wanted) => (wanted.key === key ? (wanted.item ?? []) : []))] as const)
        .map(([key, items]) => (items.length === 0 ? `${key}: true` : `${key}: [${items.join(', ')}]`));
      return `${fullName(repository)}'s jobs may not have ${what}: the operator's file (SLIPWAY_CONFIG) doesn't allow it. An operator adds ${keys.join(' and ')} to repositories: ${fullName(repository)}: jobs.`;
    },
    runtime: (repository) => rulesFor(repository).findLast((rule) => rule.jobs?.runtime)?.jobs?.runtime ?? null,
    refuseDocker(repository) {
      const last = rulesFor(repository).findLast((rule) => rule.jobs?.docker !== undefined);
      if (last?.jobs?.docker !== false) return null;
      return `${fullName(repository)}'s jobs may not use Docker: the operator's file (SLIPWAY_CONFIG) says so, by docker: false under repositories: jobs.`;
    },
    ...deployPolicy((repository): readonly DeployRule[] => rulesFor(repository)),
    lendsRegistry: (repository, registry) =>
      rulesFor(repository).some((rule) => rule.jobs?.registries?.some((pattern) => glob(pattern)(registry))),
  };
}

/** The strictest word counts: a rule for all of an organisation can't be loosened by accident in another. */
function strangersRule(rules: readonly NonNullable<RepositoryRule['strangers']>[]): StrangersRule {
  const order = ['always', 'first-time', 'never'] as const;
  const said = rules.flatMap((rule) => rule.approval ?? []);
  return {
    approval: order.find((approval) => said.includes(approval)) ?? 'always',
    network: rules.some((rule) => rule.network === 'none') ? 'none' : 'private',
  };
}

type JobsRule = NonNullable<RepositoryRule['jobs']>;
interface Wanted {
  readonly what: string;
  /** The key of `jobs` that allows it, and the item of its list; without item it is a flag. */
  readonly key: string;
  readonly item?: string;
  readonly allowed: (jobs: JobsRule) => boolean;
}

/** Each thing of the host that a job asks for, and whether a rule gives it. */
function accessWanted({ privileged, network, devices, volumes }: HostAccess): readonly Wanted[] {
  const wanted: Wanted[] = [];
  if (privileged) {
    wanted.push({
      what: 'privileged containers',
      key: 'privileged',
      allowed: (jobs) => jobs.privileged === true,
    });
  }
  if (network === 'host') {
    wanted.push({
      what: "the host's network",
      key: 'host-network',
      allowed: (jobs) => jobs['host-network'] === true,
    });
  }
  for (const device of devices) {
    const allowed = (jobs: JobsRule) => jobs.devices?.includes(device) ?? false;
    wanted.push({ what: `the device ${device}`, key: 'devices', item: device, allowed });
  }
  for (const { source } of volumes) {
    const allowed = (jobs: JobsRule) => jobs.volumes?.includes(source) ?? false;
    wanted.push({ what: `the host's folder ${source}`, key: 'volumes', item: source, allowed });
  }
  return wanted;
}

type RepositoryRule = NonNullable<OperatorFile['repositories']>[string];

type RolloutRule = {
  readonly cluster?: string | undefined;
  readonly namespace: string;
  readonly workloads?: readonly string[] | undefined;
};

function allows(rule: RolloutRule, cluster: string, target: RolloutTarget): boolean {
  if ((rule.cluster ?? 'default') !== cluster || !glob(rule.namespace)(target.namespace)) return false;
  return rule.workloads === undefined || rule.workloads.some((pattern) => glob(pattern)(target.name));
}

/** `*` stands for anything but `/`; everything else is literal. The text may be a stranger's: never a regular expression. */
function glob(pattern: string): (text: string) => boolean {
  const literal = pattern.replaceAll(/[?[\]\\]/g, '\\$&').replaceAll(/\*+/g, '*');
  return (text) => matchesPattern(literal, text);
}

function passwordOf(
  name: string,
  entry: { password?: string | undefined; 'password-file'?: string | undefined },
  file: string,
): string {
  if ((entry.password === undefined) === (entry['password-file'] === undefined)) {
    throw new SettingsError(`SLIPWAY_CONFIG ${file}: registry ${name} needs either password or password-file.`);
  }
  return entry.password ?? read(entry['password-file'] ?? '', `password-file of registry ${name}`).trim();
}

function tokenOf(name: string, entry: z.infer<typeof prometheusEntry>): string | null {
  if (entry.token !== undefined && entry['token-file'] !== undefined) {
    throw new SettingsError(`SLIPWAY_CONFIG: the Prometheus server ${name} has token and token-file: one is enough.`);
  }
  if (entry['token-file'] === undefined) return entry.token ?? null;
  return read(entry['token-file'], `token-file of the Prometheus server ${name}`).trim();
}

function parse(file: string): OperatorFile {
  const yaml = readYaml(file, read(file, 'file'));
  const mistakes = yaml.diagnostics.map((d) => `${place(d.at)}: ${d.message.replace(/\.$/, '')}`);
  if (mistakes.length === 0) {
    const result = schema.safeParse(yaml.value ?? {});
    if (result.success) return result.data;
    for (const problem of problemsOf(result.error.issues, yaml.value ?? {})) mistakes.push(mistakeOf(yaml, problem));
  }
  throw new SettingsError(
    `SLIPWAY_CONFIG has ${mistakes.length === 1 ? 'a mistake' : 'mistakes'}: ${mistakes.join('; ')}.`,
  );
}

/** In the words of slipway.yml's mistakes, at the place of the key or value. */
function mistakeOf(yaml: YamlFile, problem: Problem): string {
  const { path } = problem;
  const where = path.length > 0 ? path.map(String).join('.') : 'the file';
  switch (problem.kind) {
    case 'value':
      return `${place(yaml.at(path))}: ${where} ${problem.message}${problem.hint ? `. ${problem.hint.replace(/\.$/, '')}` : ''}`;
    case 'key':
      return `${place(yaml.atKey(path))}: ${problem.message}`;
    case 'missing':
      return `${place(yaml.atKey(path))}: ${where} has no "${problem.key}"`;
    case 'unknown-key': {
      const at = place(yaml.atKey([...path, problem.key]));
      const hint = suggestion(problem.key, keysAt(schema, path)).replace(/\.$/, '');
      return `${at}: there is no key "${problem.key}" in ${where}${hint === '' ? '' : `. ${hint}`}`;
    }
  }
}

/** The keys that the schema knows in the map at the path. */
function keysAt(of: unknown, path: Path): readonly string[] {
  let part = of;
  for (const step of [...path, null]) {
    while (part instanceof z.ZodOptional) part = part.unwrap();
    if (step === null) break;
    if (part instanceof z.ZodObject) part = (part.shape as Record<PropertyKey, unknown>)[step];
    else if (part instanceof z.ZodRecord) part = part.valueType;
    else if (part instanceof z.ZodArray) part = part.element;
    else return [];
  }
  return part instanceof z.ZodObject ? Object.keys(part.shape) : [];
}

function place(at: Span): string {
  return `${at.file}:${at.line}:${at.column}`;
}

function read(file: string, what: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new SettingsError(`SLIPWAY_CONFIG: the ${what} ${file} can't be read: ${(error as Error).message}.`);
  }
}
