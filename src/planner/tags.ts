import type { Trigger } from '#src/model/event.ts';
import { comesFromFork } from '#src/model/trust.ts';

/**
 * The tags under which image jobs push: empty where nothing may be pushed. A tag pushes always, a branch only where
 * it deploys. A `/deploy` and a preview push under the commit alone: the branch may be in a fork and called like one of
 * ours, or like a release.
 */
export function imageTags(trigger: Trigger, goes: 'deployed' | 'previewed' | 'nowhere'): readonly string[] {
  if (comesFromFork(trigger)) return [];
  switch (trigger.kind) {
    case 'tag':
      return unique([sanitizeTag(trigger.tag), trigger.sha]);
    case 'push':
      return goes === 'deployed' ? unique([sanitizeTag(trigger.branch), trigger.sha]) : [];
    case 'deploy':
      return [trigger.sha];
    case 'pull_request':
      return goes === 'previewed' ? [trigger.sha] : [];
    case 'merge_group':
      return [];
  }
}

/**
 * A name as an image's tag: letters, digits, `_`, `.` and `-`, not starting with `.` or `-`, at most 128. The rule is
 * https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
 */
export function sanitizeTag(name: string): string {
  const tag = name
    .replaceAll(/[^A-Za-z0-9_.-]+/g, '-')
    .replace(/^[.-]+/, '')
    .slice(0, 128);
  return tag === '' ? 'unnamed' : tag;
}

function unique(tags: readonly string[]): readonly string[] {
  return [...new Set(tags)];
}
