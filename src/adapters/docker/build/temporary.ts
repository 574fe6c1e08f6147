/**
 * Runs builds, each with a temporary name for its image, and removes the names while no build is under way. Two builds
 * of one commit make the same image, and the engine deletes it with its last name, although the other build is just
 * about to name it: that build would then find nothing to push. `remove` must not throw.
 */
export function createTemporaries(
  remove: (name: string) => Promise<void>,
): <T>(name: string, build: () => Promise<T>) => Promise<T> {
  let active = 0;
  let removing: Promise<unknown> = Promise.resolve();
  const left: string[] = [];
  return async (name, build) => {
    let seen: unknown = null;
    while (seen !== removing) {
      seen = removing;
      await seen;
    }
    active += 1;
    try {
      return await build();
    } finally {
      active -= 1;
      left.push(name);
      if (active === 0) {
        removing = Promise.all(left.splice(0).map(remove));
        await removing;
      }
    }
  };
}
