import { nearest } from './model/suggest.ts';
import { settingsTable } from './settings.ts';

/**
 * A sentence for each variable of the environment that looks like a setting and is none. Not for those that Slipway gives
 * to jobs (a server may be started by one), nor for those of its own tests.
 */
export function unknownSettings(env: Readonly<Record<string, string | undefined>> = process.env): readonly string[] {
  const known = Object.keys(settingsTable);
  return Object.keys(env)
    .filter((name) => /^SLIPWAY_/i.test(name) && !known.includes(name) && !notSettings.test(name))
    .toSorted()
    .map((name) => {
      const meant = nearest(name, known);
      const what = meant === null ? 'docs/settings.md lists the settings.' : `Did you mean ${meant}?`;
      return `${name} is no setting, and is ignored. ${what}`;
    });
}

const notSettings =
  /^SLIPWAY_(EVENT|BRANCH|TAG|SHA|REPOSITORY|PULL_REQUEST|BASE_BRANCH|ACTOR|RUN_ID|RUN_URL|JOB_ID|JOB|ATTEMPT|WORKSPACE|IMAGES|PROPERTY_RUNS|PROPERTY_SEED|TEST_.*)$/;
