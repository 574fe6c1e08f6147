/* oxlint-disable jest/no-conditional-expect -- what is asked of an answer depends on what it is */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { registryOf } from '#src/adapters/docker/build/registry-name.ts';
import { imageProblem } from '#src/dialects/native/values.ts';
import { readOperator } from '#src/operator.ts';
import { readSettings, SettingsError, settingsTable } from '#src/settings.ts';
import { anyText, check, damaged, madeOf, patience, realFiles, repository, subject } from './support.ts';

const folder = mkdtempSync(join(tmpdir(), 'slipway-properties-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = join(folder, 'operator.yml');

const words = [
  'registries:',
  'clusters:',
  'repositories:',
  '\n  ',
  '\n    ',
  'acme/shop:',
  'acme/*:',
  'push: [ghcr.io/*]',
  'rollout:',
  '- ',
  'namespace: shop',
  'jobs: {docker: true}',
  'jobs:',
  'devices: [/dev/kvm]',
  '__proto__: ',
  'constructor: ',
  '{}',
  '[]',
  ': ',
  'username: a',
  'password: b',
  'kubeconfig: /x',
  'strangers: {approval: never}',
  '*',
];
const rules = [
  'repositories:\n  acme/*:\n    push: ["ghcr.io/acme/*"]\n    rollout: [{ namespace: "shop-*", workloads: ["a*"] }]\n    jobs: { docker: true, privileged: true, devices: [/dev/kvm] }\n',
];

describe(subject("the operator's files"), () => {
  it(
    'reads any file, or says by a SettingsError what is wrong; asks of the policy are answered',
    () => {
      const given = fc.tuple(
        fc.oneof(anyText, madeOf(words), damaged([...rules, ...realFiles()], words)),
        fc.option(anyText),
        anyText,
      );
      let read = 0;
      check(
        given,
        ([text, kubeconfig, name]) => {
          writeFileSync(file, text);
          try {
            const { policy } = readOperator(file, kubeconfig);
            read += 1;
            const target = {
              kind: 'deployment',
              cluster: null,
              namespace: name,
              name,
              container: 'a',
              image: 'a',
            } as const;
            const own = { ...repository, name };
            for (const answer of [policy.refusePush(own, name), policy.refuseRollout(own, target)]) {
              if (answer !== null) expect(answer).not.toBe('');
            }
            policy.refuseAccess(own, { privileged: true, network: 'host', devices: [name], volumes: [] });
            policy.strangers(own);
          } catch (error) {
            if (!(error instanceof SettingsError)) throw error;
            expect(error.message).toMatch(/SLIPWAY_CONFIG/);
          }
        },
        0.5,
      );
      expect(read).toBeGreaterThan(0);
    },
    patience,
  );

  it(
    'lets a star stand for anything but a slash, and nothing else',
    () => {
      const parts = fc.array(fc.constantFrom('a', 'b', '*', '-', '.'), { minLength: 1, maxLength: 6 });
      const texts = fc
        .array(fc.constantFrom('a', 'b', '-', '.', '/', '[', '\\'), { maxLength: 6 })
        .map((all) => all.join(''));
      check(
        fc.tuple(parts, texts),
        ([pattern, text]) => {
          writeFileSync(file, `repositories: { "acme/shop": { push: ["x/${pattern.join('')}"] } }\n`);
          const allowed = readOperator(file, null).policy.refusePush(repository, `x/${text}`) === null;
          const reference = new RegExp(
            `^${pattern.map((part) => (part === '*' ? '[^/]*' : `\\${part}`.replace(/\\([ab-])/, '$1'))).join('')}$`,
          );
          expect(allowed).toBe(reference.test(text));
        },
        0.5,
      );
    },
    patience,
  );

  it(
    'reads any value of any setting, or says by a SettingsError what is wrong',
    () => {
      const names = [...Object.keys(settingsTable), '__proto__'];
      const value = fc.oneof(anyText, madeOf(['1', 'm', 'g', 'k', 'https://', 'a', ':', '/', '-', '.', 'true', '%']));
      check(fc.dictionary(fc.constantFrom(...names), value, { maxKeys: 4 }), (environment) => {
        try {
          readSettings(environment);
        } catch (error) {
          if (!(error instanceof SettingsError)) throw error;
          expect(error.message).not.toBe('');
        }
      });
    },
    patience,
  );

  it(
    'reads any reference of an image',
    () => {
      const reference = fc.oneof(
        anyText,
        madeOf([
          'ghcr.io',
          '/',
          ':',
          '@',
          'sha256:',
          'a'.repeat(64),
          'A',
          '_',
          '__',
          '-',
          '.',
          'localhost',
          '5000',
          '[::1]',
          'http://',
        ]),
      );
      check(
        fc.tuple(reference, fc.boolean()),
        ([image, bare]) => {
          const problem = imageProblem(image, bare);
          expect(registryOf(image)).not.toBe('');
          if (problem === null) expect(image).toMatch(/^[\w[][\w.:/@[\]-]*$/);
        },
        2,
      );
    },
    patience,
  );
});
