/**
 * Why a stranger's build can't be, as a sentence; null if it can. `text` is the Dockerfile's, null if it is no plain file.
 *
 * What a Dockerfile means is decided by its frontend, an image that `# syntax=` names. Ours writes apart what belongs to
 * strangers (layers, cache mounts); one of their own would write the very instructions of a trusted build, and leave in the
 * cache what it likes for them.
 */
export function refuseStrange(
  file: string,
  text: string | null,
  args: Readonly<Record<string, string>>,
): string | null {
  const argument = Object.keys(args).find((name) => /^buildkit_syntax$/i.test(name));
  if (argument !== undefined) return refusal(`The argument ${argument} names a frontend`, file);
  if (text === null) {
    return `A stranger's image is built by a Dockerfile that is a plain file of the commit, of at most 1 MB: ${file} is missing or isn't one. Somebody with write permission can push the commit to a branch of this repository.`;
  }
  // BuildKit looks in JSON, too. No Dockerfile begins like that.
  const bare = text.replace(/^\uFEFF/, '').replace(/^#![^\n]*\n/, '');
  if (/^[\s\u0085\uFEFF]*\{/.test(bare)) return refusal(`${file} is no Dockerfile, but names a frontend`, file);
  for (const line of text.split('\n')) {
    const named = /^[\s\u0085\uFEFF]*(?:#|\/\/)[\s\u0085]*syntax[\s\u0085]*=([^]*)$/i.exec(line)?.[1];
    if (named !== undefined && !official.test(named)) return refusal(`${file} names the frontend${named}`, file);
  }
  return null;
}

/** Without a digest: the engine takes what has it from anywhere, whatever name stands before it. */
const official = /^\s*(?:docker\.io\/)?docker\/dockerfile(?:-upstream)?(?::\w[\w.-]{0,127})?\s*$/;

function refusal(what: string, file: string): string {
  return `${what.trim().slice(0, 200)}: a stranger's image is built by Docker's own alone. Write \`# syntax=docker/dockerfile:1\` in ${file}, or nothing. Somebody with write permission can push the commit to a branch of this repository.`;
}

/** True for arguments that change what an instruction makes, while the engine takes the layers for the same. */
export function hasProxy(args: Readonly<Record<string, string>>): boolean {
  return Object.keys(args).some((name) => /^(?:https?|ftp|no|all)_proxy$/i.test(name));
}
