/* oxlint-disable jest/no-conditional-expect -- what is asked of an answer depends on what it is */
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { compileNative } from '#src/dialects/native/compile.ts';
import { compileFile, loadPipeline } from '#src/dialects/index.ts';
import { readYaml } from '#src/dialects/yaml.ts';
import type { Diagnostic } from '#src/model/diagnostic.ts';
import type { Pipeline } from '#src/model/pipeline.ts';
import type { Trigger } from '#src/model/event.ts';
import { conditionOf } from '#src/model/expression.ts';
import type { Outcome } from '#src/model/outcome.ts';
import type { PlannedJob } from '#src/model/plan.ts';
import { advance } from '#src/model/run.ts';
import { comesFromFork } from '#src/model/trust.ts';
import { plan } from '#src/planner/plan.ts';
import { jobOf } from '#test/model/samples.ts';
import { anyFile, anyKey, asYaml, deploying, nearlyRight } from './pipeline-files.ts';
import { check, checkLater, madeOf, patience, repository, subject, triggers } from './support.ts';

/** Lines and columns count from 1; a place may stand right after the last character. */
function refuseForeignPlaces(text: string, diagnostics: readonly Diagnostic[]): void {
  const lines = text.split('\n');
  for (const { at, message } of diagnostics) {
    expect(message.length).toBeGreaterThan(0);
    for (const [line, column] of [
      [at.line, at.column],
      [at.endLine ?? at.line, at.endColumn ?? at.column],
    ] as const) {
      expect(line).toBeGreaterThanOrEqual(1);
      expect(line).toBeLessThanOrEqual(lines.length);
      expect(column).toBeGreaterThanOrEqual(1);
      expect(column).toBeLessThanOrEqual((lines[line - 1]?.length ?? 0) + 1);
    }
  }
}

function planned(pipeline: Pipeline, trigger: Trigger): readonly PlannedJob[] {
  const preview = pipeline.preview ? ({ kind: 'preview', spec: pipeline.preview } as const) : null;
  const options = { message: '', done: new Set<string>(), strange: false, preview, showsPlan: true };
  const answer = plan(pipeline, trigger, repository, options);
  if (answer.kind === 'refused') {
    expect(answer.message).not.toBe('');
    return [];
  }
  const { jobs } = answer.plan;
  const keysOf = jobs.map((each) => each.key);
  expect(new Set(keysOf).size).toBe(keysOf.length);
  expect(jobs.length).toBeLessThanOrEqual(500 + pipeline.environments.length + 2);
  expect(JSON.stringify(jobs).length).toBeLessThan(20_000_000);
  const held = new Set(jobs.filter((each) => each.heldBy !== undefined).map((each) => each.key));
  for (const each of jobs) {
    // Nothing waits for a check between steps, and a check only for a deployment that is there.
    expect(each.needs.filter((need) => held.has(need))).toEqual([]);
    if (each.heldBy !== undefined) expect(keysOf).toContain(each.heldBy);
    if (comesFromFork(trigger)) expect(['script', 'image']).toContain(each.work.kind);
  }
  expect(endOf(jobs, trigger)).toBe('success');
  return jobs;
}

/** How a run with this plan ends if everything succeeds that begins: no job waits for ever. */
function endOf(planned: readonly PlannedJob[], trigger: Trigger): string {
  const condition = conditionOf({ trigger, repository });
  let jobs = planned.map((each) => jobOf(each.key, each));
  for (let round = 0; round <= jobs.length; round += 1) {
    const { queue, end, outcome } = advance(jobs, condition);
    if (outcome !== null) return outcome.kind === 'skipped' ? 'success' : outcome.kind;
    const ended = new Map<string, Outcome>([
      ...queue.map((each) => [each.plan.key, { kind: 'success' }] as const),
      ...end.map((each) => [each.job.plan.key, each.outcome] as const),
    ]);
    jobs = jobs.map((each) => {
      const outcome = ended.get(each.plan.key);
      return outcome ? { ...each, state: 'completed' as const, outcome } : each;
    });
  }
  return 'it never ends';
}

describe(subject('pipeline files'), () => {
  it(
    'reads any text as YAML, or says at a place of it what is wrong',
    () => {
      check(
        fc.tuple(anyFile, fc.array(fc.oneof(anyKey, fc.nat(3)), { maxLength: 4 }), fc.nat(300)),
        ([text, path, offset]) => {
          const yaml = readYaml('slipway.yml', text);
          const message = 'x';
          const ask = [yaml.at(path), yaml.atKey(path), yaml.within(path, offset)];
          refuseForeignPlaces(text, [
            ...yaml.diagnostics,
            ...ask.map((at) => ({ severity: 'error', code: '', message, at }) as const),
          ]);
          if (yaml.value === undefined) expect(yaml.diagnostics.length).toBeGreaterThan(0);
        },
      );
    },
    patience,
  );

  it(
    'compiles any text to a pipeline, or to mistakes at places of it; what compiles can be planned',
    () => {
      check(fc.tuple(anyFile, triggers), ([text, trigger]) => {
        const compiled = compileNative('slipway.yml', text);
        if (compiled.kind === 'needs-files') throw new Error('The native dialect needs no other files.');
        refuseForeignPlaces(text, compiled.diagnostics);
        expect(compiled.diagnostics.length).toBeLessThanOrEqual(101);
        expect(compiled.diagnostics.some((each) => each.severity === 'error')).toBe(compiled.kind === 'invalid');
        if (compiled.kind === 'pipeline') planned(compiled.pipeline, trigger);
      });
    },
    patience,
  );

  it(
    'plans what is nearly right',
    () => {
      let compilable = 0;
      check(fc.tuple(nearlyRight, triggers), ([file, trigger]) => {
        const compiled = compileFile('slipway.yml', asYaml(file));
        if (compiled.kind !== 'pipeline') return;
        compilable += 1;
        planned(compiled.pipeline, trigger);
      });
      expect(compilable).toBeGreaterThan(0);
    },
    patience,
  );

  it(
    'plans deployments so that every run ends, whatever comes first',
    () => {
      const seen = { deployments: 0, checks: 0, previews: 0 };
      check(fc.tuple(deploying, triggers), ([file, trigger]) => {
        const compiled = compileFile('slipway.yml', asYaml(file));
        if (compiled.kind !== 'pipeline') throw new Error(JSON.stringify(compiled));
        for (const { work, heldBy } of planned(compiled.pipeline, trigger)) {
          if (work.kind === 'deploy') seen.deployments += 1;
          if (heldBy !== undefined) seen.checks += 1;
          if (work.kind === 'preview') seen.previews += 1;
        }
      });
      expect(Math.min(...Object.values(seen))).toBeGreaterThan(10);
    },
    patience,
  );

  it(
    'finds something to run, or nothing, in any repository',
    async () => {
      const names = [
        'package.json',
        'pyproject.toml',
        'requirements.txt',
        'go.mod',
        'Cargo.toml',
        'pom.xml',
        'Dockerfile',
        '.nvmrc',
        'tox.ini',
        'yarn.lock',
        '__proto__',
        'slipway.yml',
        '.github/slipway.yaml',
        '.python-version',
      ];
      const words = [
        '{"scripts":{"test":"x","__proto__":"y"}}',
        '"engines":{"node":">=20"}',
        '[project]\n',
        'requires-python = ">=3.12"\n',
        'pytest',
        'ruff',
        'go 1.22\n',
        'rust-version = "1.80"\n',
        '<maven.compiler.release>21<',
        'FROM x\n',
        '"',
        '\n',
      ];
      const contents = fc.dictionary(fc.constantFrom(...names), madeOf(words, 8), { maxKeys: 6 });
      await checkLater(fc.tuple(contents, triggers), async ([files, trigger]) => {
        const paths = Object.keys(files);
        const loaded = await loadPipeline(
          paths,
          async (wanted) =>
            new Map(wanted.map((path) => [path, Object.hasOwn(files, path) ? (files[path] ?? null) : null])),
        );
        if (loaded.kind === 'pipeline') planned(loaded.pipeline, trigger);
        if (loaded.kind === 'invalid') expect(loaded.diagnostics.length).toBeGreaterThan(0);
        if (loaded.kind === 'none') expect(loaded.message).not.toBe('');
      });
    },
    patience,
  );
});
