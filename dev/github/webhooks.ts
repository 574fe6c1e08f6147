import { createHmac, randomUUID } from 'node:crypto';
import { request } from 'node:http';
import { checkWebhook, completeWebhook } from './description.ts';
import { WEBHOOKS, type WebhookName } from './operations.ts';
import { installationRef, installationView, repositoryView, simpleUser } from './views.ts';
import type { App, Body, Installation, Repo, User, World } from './world.ts';

const TEN_SECONDS = 10_000;

/** Sent to every App that may write checks, subscribed or not. */
const WITH_CHECKS = new Set(['check_run', 'check_suite']);
/** Sent to every App. */
const ALWAYS = new Set(['ping', 'installation']);

export interface Delivery {
  readonly id: number;
  readonly guid: string;
  readonly app: App;
  readonly event: string;
  readonly action: string | null;
  readonly installationId: number | null;
  readonly repositoryId: number | null;
  readonly redelivery: boolean;
  readonly at: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Seconds; null until it was answered. */
  duration: number | null;
  status: string;
  statusCode: number;
  response: string;
}

/** Sends webhooks as GitHub does: signed, once, with ten seconds to answer, in no order, and remembers them. */
export class Webhooks {
  readonly deliveries: Delivery[] = [];
  readonly #world: World;
  readonly #underWay = new Set<Promise<void>>();
  readonly #closing = new AbortController();

  constructor(world: World) {
    this.#world = world;
  }

  /** Tells every App that is installed on the repository and listens to the event. */
  repository(repo: Repo, event: string, action: string | null, sender: User, extra: Body): void {
    for (const installation of this.#world.installationsOf(repo)) {
      this.repositoryOf(installation, repo, event, action, sender, extra);
    }
  }

  /** Tells one App of something in a repository. */
  repositoryOf(
    installation: Installation,
    repo: Repo,
    event: string,
    action: string | null,
    sender: User,
    extra: Body,
  ): void {
    const payload = { ...extra, repository: repositoryView(this.#world, repo) };
    this.installation(installation, event, action, sender, payload, repo.id);
  }

  /** Tells one App. */
  installation(
    installation: Installation,
    event: string,
    action: string | null,
    sender: User,
    extra: Body,
    repositoryId: number | null = null,
  ): void {
    const payload = { installation: installationRef(installation), ...extra };
    this.app(
      installation.app,
      event,
      action,
      { ...payload, sender: simpleUser(this.#world, sender) },
      installation.id,
      repositoryId,
    );
  }

  app(
    app: App,
    event: string,
    action: string | null,
    extra: Body,
    installationId: number | null = null,
    repositoryId: number | null = null,
  ): void {
    if (!listens(app, event)) return;
    const name = webhookName(event, action);
    const payload = completeWebhook(name, { ...(action && { action }), ...extra }, this.#world.url);
    const details = checkWebhook(name, payload);
    if (details.length > 0) this.#world.violations.push({ kind: 'invalid webhook', what: name, details });
    this.#send({
      guid: randomUUID(),
      app,
      event,
      action,
      installationId,
      repositoryId,
      redelivery: false,
      body: JSON.stringify(payload),
    });
  }

  /** Tells an App that it was installed on all repositories of an account. */
  installed(installation: Installation): void {
    const repositories = [...this.#world.repos.values()]
      .filter((repo) => repo.owner.id === installation.account.id)
      .map((repo) => {
        const { id, node_id, name, full_name, private: hidden } = repositoryView(this.#world, repo);
        return { id, node_id, name, full_name, private: hidden };
      });
    this.installation(installation, 'installation', 'created', installation.account, {
      installation: installationView(this.#world, installation),
      repositories,
      requester: null,
    });
  }

  /** What GitHub sends first to the webhook of a new App. */
  ping(app: App): void {
    this.app(app, 'ping', null, {
      zen: 'Keep it logically awesome.',
      hook_id: app.id,
      hook: {
        type: 'App',
        id: app.id,
        name: 'web',
        active: true,
        events: app.events,
        config: { url: app.hook.url, content_type: 'json' },
        app_id: app.id,
      },
    });
  }

  /** Sends an earlier delivery again, under its GUID. */
  redeliver(delivery: Delivery): void {
    this.#send({ ...delivery, redelivery: true });
  }

  /** Resolves when all that was sent is answered or given up. */
  async idle(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.idle();
  }

  #send(
    parts: Pick<
      Delivery,
      'guid' | 'app' | 'event' | 'action' | 'installationId' | 'repositoryId' | 'redelivery' | 'body'
    >,
  ): void {
    const { guid, app, event, body } = parts;
    if (!app.hook.url || this.#closing.signal.aborted) return;
    const delivery: Delivery = {
      ...parts,
      id: this.#world.id(),
      at: Date.now(),
      headers: {
        accept: '*/*',
        'content-type': 'application/json',
        'content-length': String(Buffer.byteLength(body)),
        'user-agent': 'GitHub-Hookshot/stand-in',
        'x-github-delivery': guid,
        'x-github-event': event,
        'x-github-hook-id': String(app.id),
        'x-github-hook-installation-target-id': String(app.id),
        'x-github-hook-installation-target-type': 'integration',
        'x-hub-signature-256': `sha256=${createHmac('sha256', app.hook.secret).update(body).digest('hex')}`,
      },
      duration: null,
      status: 'pending',
      statusCode: 0,
      response: '',
    };
    this.deliveries.push(delivery);
    const sent = this.#post(app.hook.url, delivery).finally(() => {
      this.#underWay.delete(sent);
      this.#world.changed();
    });
    this.#underWay.add(sent);
  }

  #post(url: string, delivery: Delivery): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const settle = (status: string, code: number, response: string): void => {
      delivery.duration ??= (Date.now() - delivery.at) / 1000;
      Object.assign(delivery, { status, statusCode: code, response });
      resolve();
    };
    const deadline = AbortSignal.timeout(TEN_SECONDS);
    const signal = AbortSignal.any([deadline, this.#closing.signal]);
    const sending = request(url, { method: 'POST', headers: delivery.headers, agent: false, signal }, (answer) => {
      const chunks: Buffer[] = [];
      const code = answer.statusCode ?? 0;
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', () => settle('timed out', 504, ''));
      answer.on('end', () =>
        settle(code < 400 ? 'OK' : `Invalid HTTP Response: ${code}`, code, Buffer.concat(chunks).toString('utf8')),
      );
    });
    sending.on('error', () =>
      settle(deadline.aborted ? 'timed out' : 'failed to connect to host', deadline.aborted ? 504 : 502, ''),
    );
    sending.end(delivery.body);
    return promise;
  }
}

function listens(app: App, event: string): boolean {
  if (ALWAYS.has(event) || app.events.includes(event)) return true;
  return WITH_CHECKS.has(event) && app.permissions['checks'] === 'write';
}

function webhookName(event: string, action: string | null): WebhookName {
  const name = (action ? `${event}-${action}` : event).replaceAll('_', '-');
  const known = WEBHOOKS.find((each) => each === name);
  if (!known) throw new Error(`The webhook ${name} isn't among those in operations.ts.`);
  return known;
}
