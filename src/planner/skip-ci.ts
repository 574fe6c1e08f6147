const MARKS = ['[skip ci]', '[ci skip]', '[no ci]', '[skip actions]', '[actions skip]'];

/**
 * How a commit's message asks for no run, or null. The forms are GitHub's:
 * https://docs.github.com/actions/how-tos/manage-workflow-runs/skip-workflow-runs
 */
export function skipRequest(message: string): string | null {
  const lower = message.toLowerCase();
  const mark = MARKS.find((form) => lower.includes(form));
  if (mark !== undefined) return mark;
  // The trailers are the last paragraph.
  const trailers =
    lower
      .trimEnd()
      .split(/\n\s*\n/)
      .slice(1)
      .at(-1) ?? '';
  const trailer = /^skip-checks:\s*true\s*$/m.exec(trailers);
  return trailer === null ? null : 'skip-checks: true';
}
