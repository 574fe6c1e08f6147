import { type Answer, appOf, type Call, ok, type Routes } from '../call.ts';
import { invalid, notFound } from '../refusal.ts';
import { isoTime } from '../world.ts';
import type { Body } from '../world.ts';
import type { Delivery } from '../webhooks.ts';

const THREE_DAYS = 3 * 24 * 3_600_000;

export const HOOK_ROUTES: Routes = {
  'GET /app/hook/deliveries': { as: 'app', handle: list },
  'GET /app/hook/deliveries/{delivery_id}': { as: 'app', handle: get },
  'POST /app/hook/deliveries/{delivery_id}/attempts': { as: 'app', handle: redeliver },
};

/** Newest first; `cursor` comes from the Link header of the page before. */
function list(call: Call): Answer {
  const size = Number(call.query['per_page'] ?? 30);
  const cursor =
    call.query['cursor'] === undefined ? Infinity : Number(String(call.query['cursor']).replace(/^v1_/, ''));
  if (Number.isNaN(cursor)) throw invalid('Delivery', [{ field: 'cursor', message: 'is not one that was given out' }]);
  const status = call.query['status'] as string | undefined;
  const found = own(call)
    .filter((delivery) => delivery.duration !== null && delivery.id < cursor)
    .filter(({ statusCode }) => !status || (status === 'success') === (statusCode >= 200 && statusCode < 400))
    .sort((a, b) => b.id - a.id);
  const page = found.slice(0, size);
  const last = page.at(-1);
  const query = new URLSearchParams({ per_page: String(size), ...(status && { status }), cursor: `v1_${last?.id}` });
  const headers: Record<string, string> =
    last && found.length > size ? { link: `<${call.url}?${query.toString()}>; rel="next"` } : {};
  return { status: 200, body: page.map(item), headers };
}

function get(call: Call): Answer {
  const delivery = find(call);
  return ok({
    ...item(delivery),
    url: delivery.app.hook.url ?? '',
    request: { headers: delivery.headers, payload: JSON.parse(delivery.body) as unknown },
    response: { headers: {}, payload: delivery.response },
  });
}

function redeliver(call: Call): Answer {
  const delivery = find(call);
  if (Date.now() - delivery.at > THREE_DAYS) {
    throw invalid('Delivery', [{ field: 'delivery_id', message: 'is older than three days' }]);
  }
  call.webhooks.redeliver(delivery);
  return { status: 202, body: {} };
}

function find(call: Call): Delivery {
  const found = own(call).find(({ id }) => id === Number(call.params['delivery_id']));
  if (!found) throw notFound();
  return found;
}

function own(call: Call): Delivery[] {
  return call.webhooks.deliveries.filter(({ app }) => app.id === appOf(call).id);
}

function item(delivery: Delivery): Body {
  return {
    id: delivery.id,
    guid: delivery.guid,
    delivered_at: isoTime(delivery.at),
    redelivery: delivery.redelivery,
    duration: delivery.duration ?? 0,
    status: delivery.status,
    status_code: delivery.statusCode,
    event: delivery.event,
    action: delivery.action,
    installation_id: delivery.installationId,
    repository_id: delivery.repositoryId,
    throttled_at: null,
  };
}
