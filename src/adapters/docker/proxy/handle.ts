import type { Binds } from './binds.ts';
import {
  BODY_LIMIT,
  type Bound,
  type EngineRequest,
  type Found,
  type JobFacts,
  type Matched,
  type Refusal,
  type Rules,
} from './contract.ts';
import { openBudget } from './budget.ts';
import { type Account, encodeHeader, registryAuth } from './credentials.ts';
import { connectSelf, type RealNames } from './effects.ts';
import { type Engine, readWhole, TooLong } from './engine.ts';
import { type Changes, type Exchange, forward, sendJson } from './forward.ts';
import type { Owned } from './owned.ts';
import { createHash, randomBytes } from 'node:crypto';
import { PlatformError } from '#src/model/outcome.ts';

/** For the whole body of a request, milliseconds. */
const BODY_DEADLINE = 30_000;
/** A job has no more containers, networks and volumes of each at once. */
const MOST = {
  ContainerCreate: ['container', 100],
  NetworkCreate: ['network', 16],
  VolumeCreate: ['volume', 100],
} as const;

export interface HandlerParts {
  readonly engine: Engine;
  readonly rules: Rules;
  readonly facts: JobFacts;
  readonly owned: Owned;
  readonly binds: Binds;
  readonly names: RealNames;
  /** Runs works of the same name one after the other; of this job alone. */
  readonly lock: Parameters<typeof openBudget>[1];
  /** Id of the job's own container. */
  readonly self: string;
  /** Tells the job's sessions of BuildKit from others'. */
  readonly secret: string;
  /** The operator's account for the registry of an image, if this job may use it. */
  readonly lent: (image: string) => Account | null;
  readonly logger: {
    debug(fields: object, message: string): void;
    warn(fields: object, message: string): void;
  };
}

/** Answers one request of the job's. */
export type Handler = (exchange: Exchange) => Promise<void>;

export function createHandler(parts: HandlerParts): Handler {
  const { engine, rules, facts, owned, binds, names, self, logger } = parts;
  /** References of shared images that the job pulled. */
  const pulled: string[] = [];
  const budget = openBudget(engine, parts.lock, facts);

  function refuseWith({ request: { method }, response }: Exchange, { status, message }: Refusal): void {
    logger.debug({ job: facts.labels['slipway.job'], method, status, message }, "a job's engine refused");
    sendJson(response, status, { message });
  }

  async function decide(exchange: Exchange): Promise<void> {
    const { request, response } = exchange;
    const refuse = (refusal: Refusal) => refuseWith(exchange, refusal);
    const matched = rules.match(request.method ?? '', request.url ?? '');
    if (matched.kind === 'refusal') return refuse(matched);
    const text = matched.body === 'json' ? await bodyOf(exchange) : '';
    const body = rules.parseBody(matched, text);
    if (body.kind === 'refusal') return refuse(body);
    const needs = rules.needs(matched, body.json, facts);
    if ('kind' in needs) return refuse(needs);
    const things = await owned.find(needs.refs);
    if ('kind' in things) return refuse(things);
    const full = await isFull(matched);
    if (full) return refuse(full);
    const bound = new Map<string, Bound>();
    for (const source of needs.binds) bound.set(source.source, await binds.bind(source));
    const found: Found = { things, binds: bound, nonce: randomBytes(6).toString('hex') };
    const order = rules.rewrite(matched, body.json, found, facts);
    if (order.kind === 'refusal') return refuse(order);
    if (order.kind === 'answer') return sendJson(response, order.status, order.json);
    await send(matched, order, exchange);
  }

  /** Not exact where several are made at once, which does no harm. */
  async function isFull({ endpoint }: Matched): Promise<Refusal | null> {
    const most = Object.hasOwn(MOST, endpoint) ? MOST[endpoint as keyof typeof MOST] : null;
    if (most === null || (await owned.count(most[0])) < most[1]) return null;
    return { kind: 'refusal', status: 403, message: `A job can have ${most[1]} ${most[0]}s at once. Remove some.` };
  }

  async function send(matched: Matched, order: EngineRequest, exchange: Exchange): Promise<void> {
    const { effect } = order;
    const changes: Changes = {
      answer: (json) => rules.answer(matched, json, facts, pulled),
      event: (json) => rules.event(json, facts),
      errorMessage: (message) => rules.errorMessage(message, facts),
    };
    const headers = headersOf(order, exchange.request.headersDistinct);
    const go = (more: Partial<Changes> = {}) => forward(engine, order, headers, exchange, { ...changes, ...more });
    const told = (result: Refusal | object | null) => {
      if (result !== null && 'kind' in result) refuseWith(exchange, result);
    };
    switch (effect?.do) {
      case undefined:
        await go();
        return;
      case 'start':
        // Who waited for others' starts may be gone, as the job may.
        return told(await budget.start(effect.container, async () => (exchange.gone.aborted ? null : go())));
      case 'update': {
        const limits = (typeof order.body === 'object' ? order.body.json : {}) as Readonly<Record<string, unknown>>;
        return told(await budget.update(effect.container, limits, go));
      }
      case 'build':
        return told(
          await budget.build(memoryIn(order.path), exchange.gone, (memory) =>
            forward(engine, { ...order, path: withMemory(order.path, memory) }, headers, exchange, changes),
          ),
        );
      case 'join':
        await go({
          async done(json) {
            const id = (json as { Id?: unknown } | null)?.Id;
            if (typeof id === 'string') await connectSelf(engine, id, self, true);
            return json;
          },
        });
        return;
      case 'leave': {
        await connectSelf(engine, effect.network, self, false);
        const { status } = await go();
        if (status >= 400) await connectSelf(engine, effect.network, self, true);
        return;
      }
      case 'pulled': {
        let failed = false;
        const { status } = await go({
          watch(bytes) {
            failed ||= bytes.includes('"errorDetail"');
          },
        });
        if (status === 200 && !failed && pulled.length < 1000) pulled.push(effect.reference);
        return;
      }
      case 'untag':
        await go({
          async done(json) {
            const answers = [json];
            for (const path of effect.also) {
              const { status, json: more } = await engine.ask('DELETE', path);
              if (status < 400) answers.push(more);
            }
            return answers.flatMap((answer) => (Array.isArray(answer) ? (answer as unknown[]) : []));
          },
        });
        return;
      case 'push':
        await names.lend(effect.from, effect.repo, effect.tag, async () => {
          if (!exchange.gone.aborted) await go();
        });
        return;
    }
  }

  function headersOf(order: EngineRequest, sent: NodeJS.Dict<string[]>): Record<string, string | readonly string[]> {
    const headers: Record<string, string | readonly string[]> = {};
    for (const name of order.headers) {
      const values = sent[name];
      // Some are given several times: each service that a session offers.
      if (values !== undefined) headers[name] = values.length === 1 ? (values[0] ?? '') : values;
    }
    if (order.headers.includes('x-registry-auth')) {
      const { effect } = order;
      const image = effect?.do === 'push' ? effect.repo : effect?.do === 'pulled' ? effect.reference : null;
      const auth = image === null ? null : registryAuth(sent['x-registry-auth']?.[0], image, parts.lent);
      if (auth !== null) headers['x-registry-auth'] = auth;
      // An engine of long ago takes a push without one for a mistake.
      else if (effect?.do === 'push') headers['x-registry-auth'] = encodeHeader({});
    }
    // Who has the same key is given what another sent of files that look the same.
    const key = 'x-docker-expose-session-sharedkey';
    if (headers[key] !== undefined) {
      headers[key] = createHash('sha256')
        .update(`${parts.secret}\n${String(headers[key])}`)
        .digest('hex');
    }
    return headers;
  }

  return async (exchange) => {
    try {
      await decide(exchange);
    } catch (error) {
      if (exchange.gone.aborted) return void exchange.response.destroy();
      if (error instanceof BadBody) return sendJson(exchange.response, error.status, { message: error.message });
      logger.warn({ err: error, job: facts.labels['slipway.job'] }, "a request to a job's engine failed");
      const message = error instanceof PlatformError ? error.message : 'Slipway failed at this request. Try it again.';
      sendJson(exchange.response, 502, { message: rules.errorMessage(message, facts) });
    }
  };
}

/** Of a build's address, which the rules made, bytes. */
function memoryIn(path: string): number {
  return Number(/[?&]memory=(\d+)/.exec(path)?.[1] ?? 0);
}

function withMemory(path: string, memory: number): string {
  return path.replaceAll(/([?&](?:memory|memswap)=)\d+/g, `$1${memory}`);
}

class BadBody extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** The whole body as text. */
async function bodyOf({ request }: Exchange): Promise<string> {
  const late = AbortSignal.timeout(BODY_DEADLINE);
  const end = () => request.destroy();
  late.addEventListener('abort', end, { once: true });
  try {
    return (await readWhole(request, BODY_LIMIT)).toString('utf8');
  } catch (error) {
    if (error instanceof TooLong) throw new BadBody(413, `The body of a request can have ${BODY_LIMIT} bytes at most.`);
    if (late.aborted) throw new BadBody(408, 'The body of the request did not come in time.');
    throw error;
  } finally {
    late.removeEventListener('abort', end);
  }
}
