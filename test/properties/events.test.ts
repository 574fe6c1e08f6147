/* oxlint-disable jest/no-conditional-expect -- what is asked of an answer depends on what it is */
import { createRequire } from 'node:module';
import { describe, expect, it } from '@jest/globals';
import type { WebhookDefinition } from '@octokit/webhooks-examples';
import * as fc from 'fast-check';
import { ZodError } from 'zod';
import { handledEvents, isOfUse, type Understood, understand } from '#src/adapters/github/understand.ts';
import { runKey } from '#src/model/event.ts';
import { anyJson, anyText, check, damagedJson, patience, subject } from './support.ts';

const examples = createRequire(import.meta.url)('@octokit/webhooks-examples') as readonly WebhookDefinition[];
const appId = 29310;

/** The event, or null where what GitHub documents is missing. */
function understood(name: string, payload: unknown): Understood | null {
  try {
    return understand(name, payload, appId);
  } catch (error) {
    if (error instanceof ZodError) return null;
    throw error;
  }
}

function judge(event: Understood | null): void {
  if (event === null) return;
  if (event.kind === 'ignored') expect(event.reason).not.toBe('');
  if (event.kind !== 'trigger') return;
  expect(event.trigger.sha).toMatch(/^[0-9a-f]{40,64}$/);
  expect(event.trigger.ref).toMatch(/^refs\//);
  expect(event.trigger.title).not.toMatch(/\n/);
  expect(runKey(event.trigger)).not.toBe('');
}

const names = fc.oneof(
  fc.constantFrom(...handledEvents),
  fc.constantFrom('__proto__', 'constructor', 'toString', 'star', ''),
  anyText,
);

describe(subject('deliveries'), () => {
  it(
    'understands any JSON under any name, or says by a ZodError what is missing',
    () => {
      check(fc.tuple(names, anyJson, anyText), ([name, payload, action]) => {
        judge(understood(name, payload));
        expect(typeof isOfUse(name, action)).toBe('boolean');
      });
    },
    patience,
  );

  it.each(handledEvents)(
    'understands damaged payloads of %s',
    (name) => {
      const payloads = examples
        .filter((each) => each.name === name)
        .flatMap((each) => each.examples as readonly unknown[]);
      const own = JSON.parse(
        JSON.stringify(payloads).replaceAll(/"app":\{"id":\d+/g, `"app":{"id":${appId}`),
      ) as readonly unknown[];
      if (own.length === 0) return;
      let meant = 0;
      check(
        damagedJson([...payloads, ...own]),
        (payload) => {
          const event = understood(name, payload);
          judge(event);
          if (event !== null) meant += 1;
        },
        0.2,
      );
      expect(meant).toBeGreaterThan(0);
    },
    patience,
  );
});
