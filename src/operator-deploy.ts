import { z } from 'zod';
import type { Policy } from '#src/engine/ports.ts';
import type { PreviewRule } from '#src/engine/ports-deploy.ts';
import type { PeopleRule } from '#src/model/deploy-rules.ts';
import { matchesPattern } from '#src/model/pattern.ts';
import { fullName, type Repository } from '#src/model/repository.ts';
import type { Role } from '#src/model/trust.ts';

const slug = /^[\w.-]+\/[\w.-]+$/;
const login = z.string().regex(/^[A-Za-z0-9-]+$/, 'must be the name of somebody on GitHub, without @');
const quantity = z
  .string()
  .regex(/^\d+(\.\d+)?([mkKMGTPE]i?)?$/, 'must be a quantity as Kubernetes has them: "2", "500m", 4Gi');
const quantities = z.record(
  z.string().regex(/^[\w./-]+$/, 'must be the name of a resource: cpu, memory, pods'),
  quantity,
);
/** Kinds that a preview's manifests may hold where the operator names none. */
const previewKinds = [
  'Deployment',
  'StatefulSet',
  'DaemonSet',
  'Job',
  'CronJob',
  'Service',
  'Ingress',
  'ConfigMap',
  'PersistentVolumeClaim',
] as const;

/** A Prometheus server that checks between the steps of a rollout may ask. */
export const prometheusEntry = z.strictObject({
  url: z.url({ protocol: /^https?$/, error: 'must be an address that starts with https:// or http://' }),
  token: z.string().min(1).optional(),
  'token-file': z.string().min(1).optional(),
});

/** What an entry of `repositories:` may say of deployments beyond workloads. */
export const deployRule = {
  // Who may deploy by a command; the repository's own rule holds beside it.
  deploy: z
    .array(
      z.strictObject({
        environments: z.array(z.string().min(1)).min(1).optional(),
        people: z.array(login).optional(),
        teams: z.array(z.string().regex(slug, 'must look like organisation/team')).optional(),
        permission: z.enum(['read', 'triage', 'write', 'maintain', 'admin']).optional(),
      }),
    )
    .optional(),
  checks: z
    .strictObject({
      probes: z
        .array(
          z
            .string()
            .regex(
              /^https?:\/\/[\w.*-]+(:\d+)?$/,
              'must be an address without a path: https://shop.example.com or https://*.example.com',
            ),
        )
        .optional(),
      prometheus: z.array(z.string().min(1)).optional(),
    })
    .optional(),
  gitops: z.array(z.string().regex(/^[\w.-]+\/[\w.*-]+$/, 'must look like owner/name')).optional(),
  previews: z
    .strictObject({
      cluster: z.string().min(1).optional(),
      prefix: z
        .string()
        .regex(
          /^[a-z0-9]([a-z0-9-]{0,39}[a-z0-9])?$/,
          'must be the beginning of a namespace: small letters, digits and -, at most 41',
        ),
      max: z.int().min(1).max(500).optional(),
      quota: quantities.optional(),
      limits: quantities.optional(),
      kinds: z
        .array(z.enum([...previewKinds, 'NetworkPolicy', 'HorizontalPodAutoscaler', 'PodDisruptionBudget']))
        .optional(),
    })
    .optional(),
  commands: z
    .record(
      z.string().regex(/^[^\s\w]\S*( \S+)*$/, 'must be a word that begins with a sign: .deploy'),
      z.string().regex(/^\/[a-z-]+( \S+)*$/, 'must be a command: /deploy'),
    )
    .optional(),
};

const shape = z.strictObject(deployRule);
export type DeployRule = { readonly [K in keyof z.infer<typeof shape>]?: z.infer<typeof shape>[K] };

type DeployPolicy = Pick<
  Policy,
  'deployers' | 'refuseProbe' | 'refuseMetrics' | 'refuseGitOps' | 'previews' | 'aliases'
>;

const roles: readonly Role[] = ['read', 'triage', 'write', 'maintain', 'admin'];

/** What the operator's file says of deployments beyond workloads, as answers. What no rule allows is refused. */
export function deployPolicy(rulesFor: (repository: Repository) => readonly DeployRule[]): DeployPolicy {
  const where = (repository: Repository): string => `repositories: ${fullName(repository)}`;
  return {
    deployers: (repository, environment) => deployersOf(rulesFor(repository), environment),
    refuseProbe(repository, url) {
      const origin = originOf(url);
      if (origin === null)
        return `"${url}" is no address that a check can ask: it must start with https:// or http:// and hold no password.`;
      const allowed = rulesFor(repository).some((rule) =>
        rule.checks?.probes?.some((it) => matchesPattern(it.toLowerCase(), origin)),
      );
      if (allowed) return null;
      return `Checks of ${fullName(repository)} may not ask ${origin}: the operator's file (SLIPWAY_CONFIG) doesn't allow it. An operator adds probes: ["${origin}"] to ${where(repository)}: checks.`;
    },
    refuseMetrics(repository, server) {
      if (rulesFor(repository).some((rule) => rule.checks?.prometheus?.includes(server))) return null;
      return `Checks of ${fullName(repository)} may not ask the Prometheus server "${server}": the operator's file (SLIPWAY_CONFIG) doesn't allow it. An operator adds prometheus: [${server}] to ${where(repository)}: checks.`;
    },
    refuseGitOps(repository, other) {
      const name = other.toLowerCase();
      if (rulesFor(repository).some((rule) => rule.gitops?.some((it) => matchesPattern(it.toLowerCase(), name))))
        return null;
      return `Deployments of ${fullName(repository)} may not change ${other}: the operator's file (SLIPWAY_CONFIG) doesn't allow it. An operator adds gitops: [${other}] to ${where(repository)}.`;
    },
    previews: (repository) => previewsOf(rulesFor(repository)),
    aliases: (repository) =>
      Object.fromEntries(
        rulesFor(repository).flatMap((rule) =>
          Object.entries(rule.commands ?? {}).map(([alias, command]) => [alias.toLowerCase(), command] as const),
        ),
      ),
  };
}

/** Rules that name the environment, or none, add up. */
function deployersOf(rules: readonly DeployRule[], environment: string): PeopleRule | null {
  const fitting = rules
    .flatMap((rule) => rule.deploy ?? [])
    .filter(
      ({ environments }) =>
        environments?.some((it) => matchesPattern(it.toLowerCase(), environment.toLowerCase())) ?? true,
    );
  if (fitting.length === 0) return null;
  const named = fitting.flatMap((rule) => rule.permission ?? []);
  return {
    permission: roles.find((role) => named.includes(role as (typeof named)[number])) ?? null,
    people: fitting.flatMap((rule) => rule.people ?? []),
    teams: fitting.flatMap((rule) => rule.teams ?? []),
  };
}

/** The last entry that says something counts, as a whole: half of one and half of another would be nobody's intention. */
function previewsOf(rules: readonly DeployRule[]): PreviewRule | null {
  const rule = rules.findLast((it) => it.previews !== undefined)?.previews;
  if (rule === undefined) return null;
  return {
    cluster: rule.cluster ?? null,
    prefix: rule.prefix,
    max: rule.max ?? 10,
    quota: rule.quota ?? { pods: '20', 'requests.cpu': '2', 'requests.memory': '4Gi', 'limits.memory': '8Gi' },
    limits: rule.limits ?? { cpu: '500m', memory: '512Mi' },
    kinds: rule.kinds ?? previewKinds,
  };
}

function originOf(url: string): string | null {
  try {
    const { protocol, origin, username, password } = new URL(url);
    if ((protocol !== 'http:' && protocol !== 'https:') || username !== '' || password !== '') return null;
    return origin;
  } catch {
    return null;
  }
}
