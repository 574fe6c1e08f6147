import type { JobFacts, Matched, Order } from './contract.ts';
import type { Context } from './context.ts';
import { asIs, byThing, checkNamePattern, type FilterRule, readFilters, writeFilters } from './filters.ts';
import { misread, quoted, refuse } from './refusal.ts';
import { pathOf, requestOf } from './request.ts';

const NOT_YET = (what: string) => () => refuse(`the filter ${what} is not known here.`);

type Rules = Readonly<Record<string, FilterRule>>;

/** Lists, prunes and events: path, the filters that may go on, and whether the job's label is added to them. */
const LISTS: Readonly<
  Record<
    string,
    { readonly path: string; readonly rules: Rules; readonly label: boolean; readonly query: readonly string[] }
  >
> = {
  ContainerList: {
    path: '/containers/json',
    label: true,
    query: ['all', 'limit', 'size'],
    rules: {
      label: asIs,
      status: asIs,
      exited: asIs,
      health: asIs,
      expose: asIs,
      publish: asIs,
      'is-task': asIs,
      id: (value) => (/^[0-9a-f]{1,64}$/.test(value) ? value : misread(`${quoted(value)} is no id.`)),
      ancestor: byThing('image', 'id'),
      network: byThing('network', 'id'),
      volume: (value, context) => (value.startsWith('/') ? value : byThing('volume', 'name')!(value, context)),
      before: byThing('container', 'id'),
      since: byThing('container', 'id'),
      name: null,
    },
  },
  ContainerPrune: {
    path: '/containers/prune',
    label: true,
    query: [],
    rules: { until: asIs, label: asIs, 'label!': asIs },
  },
  NetworkList: {
    // Without the label: the job's own network has another.
    path: '/networks',
    label: false,
    query: [],
    rules: {
      label: asIs,
      driver: asIs,
      scope: asIs,
      type: asIs,
      dangling: asIs,
      id: (value) => (/^[0-9a-f]{1,64}$/.test(value) ? value : misread(`${quoted(value)} is no id.`)),
      name: null,
    },
  },
  NetworkPrune: {
    path: '/networks/prune',
    label: true,
    query: [],
    rules: { until: asIs, label: asIs, 'label!': asIs },
  },
  VolumeList: {
    path: '/volumes',
    label: true,
    query: [],
    rules: { label: asIs, driver: asIs, dangling: asIs, name: null },
  },
  VolumePrune: { path: '/volumes/prune', label: true, query: [], rules: { all: asIs, label: asIs, 'label!': asIs } },
  ImageList: {
    path: '/images/json',
    label: false,
    query: ['all', 'digests', 'shared-size'],
    rules: {
      label: asIs,
      until: asIs,
      reference: null,
      dangling: null,
      before: NOT_YET('before'),
      since: NOT_YET('since'),
    },
  },
  SystemEvents: {
    path: '/events',
    label: false,
    query: ['since', 'until'],
    rules: {
      type: asIs,
      event: asIs,
      label: asIs,
      scope: asIs,
      container: byThing('container', 'id'),
      network: byThing('network', 'id'),
      volume: byThing('volume', 'name'),
      image: byThing('image', 'name'),
      daemon: NOT_YET('daemon'),
    },
  },
};

export function isList(endpoint: string): boolean {
  return Object.hasOwn(LISTS, endpoint);
}

export function listOf(matched: Matched, context: Context): Order {
  const found = LISTS[matched.endpoint];
  if (!found) return refuse(`${matched.endpoint} is no list.`);
  const { path, rules, label, query: passed } = found;
  const filters = readFilters(matched.query.get('filters')?.[0] ?? '');
  for (const pattern of filters.get('name') ?? []) checkNamePattern(pattern);
  const query = new Map([...matched.query].filter(([name]) => passed.includes(name)));
  // What is looked at in the answer must be whole.
  if (filters.has('name')) query.delete('limit');
  const written = writeFilters(filters, rules, context, label ? allLabels(context.job) : []);
  if (written !== '{}') query.set('filters', [written]);
  return requestOf(matched, pathOf(matched, path, query));
}

/** All, not one: a container has the labels of its image too, but for those that its maker gave it. */
function allLabels(job: JobFacts): string[] {
  return Object.entries(job.labels).map(([name, value]) => `${name}=${value}`);
}
