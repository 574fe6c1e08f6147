import { closePlace, idleFolder, openPlace, type Place, type Site } from './place.ts';
import type { Image } from './images.ts';

/** An image that no job used for so long is no longer kept ready, milliseconds. */
const IDLE_TIME = 10 * 60_000;
/** Containers are started ahead when no job started for so long: jobs that start together have the engine for themselves. */
const QUIET = 300;

export interface Pool {
  /** A container of exactly this image that waits for a job, or is being started for it, or null. */
  take(image: Image): Promise<Place | null>;
  /** A job with this image will probably come at once: starts a container, unless there is one or enough are being started. */
  expect(image: Image): void;
  /** Tells that a job uses the image, so that a container is kept ready for the next. */
  used(image: Image): void;
  close(): Promise<void>;
}

/** Keeps at most `size` containers ready, for the images that were used last. */
export function createPool(site: Site, size: number): Pool {
  const places: Place[] = [];
  /** Being started for jobs that are expected, by image. Whoever takes one removes it. */
  const coming = new Map<string, Promise<Place | null>>();
  /** Latest use last. */
  const uses = new Map<string, { readonly image: Image; readonly at: number }>();
  let timer: NodeJS.Timeout | null = null;
  let filling: Promise<void> = Promise.resolve();
  let closed = false;

  function later(delay: number): void {
    if (closed) return;
    if (timer) clearTimeout(timer);
    timer = setTimeout(() => {
      timer = null;
      filling = filling.then(fill);
    }, delay);
    timer.unref();
  }

  /** The images to be kept ready, one entry a container, in turn from the one used last. */
  function wanted(): readonly Image[] {
    const recent = [...uses.values()].toReversed().filter((use) => performance.now() - use.at < IDLE_TIME);
    return recent.length === 0
      ? []
      : Array.from({ length: size }, (_, i) => recent[i % recent.length]).flatMap((use) => (use ? [use.image] : []));
  }

  async function fill(): Promise<void> {
    const missing = [...wanted()];
    for (const place of places.slice()) {
      const at = missing.findIndex((image) => image.id === place.image.id);
      if (at === -1) drop(place);
      else missing.splice(at, 1);
    }
    for (const image of missing) {
      // A job came meanwhile: its start goes first, and calls again.
      if (closed || timer) return;
      await add(image);
    }
    for (const [id, use] of uses) if (performance.now() - use.at >= IDLE_TIME) uses.delete(id);
    if (uses.size > 0 && !timer) later(IDLE_TIME / 10);
  }

  async function add(image: Image): Promise<void> {
    const place = await start(image);
    if (place) keep(place);
  }

  async function start(image: Image): Promise<Place | null> {
    try {
      const labels = { 'slipway.kind': 'idle' };
      // As most jobs are; `known` is waited for so that nothing runs before the rules stand.
      await site.guard?.known();
      const reach = { network: 'private', access: null, runtime: null, note: null } as const;
      return await openPlace(site, { image, name: idleFolder(), labels, reach, network: null });
    } catch (error) {
      // Such an image can't be kept ready (it has no shell, say). Its jobs tell why.
      uses.delete(image.id);
      site.logger.debug({ err: error, image: image.name }, 'no container can be kept ready');
      return null;
    }
  }

  function keep(place: Place): void {
    if (closed) return drop(place);
    places.push(place);
    void place.exited.then(() => places.includes(place) && drop(place));
  }

  function used(image: Image): void {
    if (size === 0) return;
    uses.delete(image.id);
    uses.set(image.id, { image, at: performance.now() });
    later(QUIET);
  }

  function drop(place: Place): void {
    const at = places.indexOf(place);
    if (at !== -1) places.splice(at, 1);
    site.background.run('removing a container kept ready', () => closePlace(site, place));
  }

  return {
    async take(image) {
      const at = places.findIndex((place) => place.image.id === image.id);
      if (at !== -1) return places.splice(at, 1)[0] ?? null;
      const started = coming.get(image.id) ?? null;
      coming.delete(image.id);
      return started;
    },
    expect(image) {
      const ready = places.some((place) => place.image.id === image.id);
      if (closed || ready || coming.has(image.id) || coming.size >= size) return;
      const started = start(image);
      coming.set(image.id, started);
      site.background.run('starting a container ahead', async () => {
        const place = await started;
        if (coming.get(image.id) !== started) return;
        // The job isn't there yet, or another than expected came: kept as one that was used just now.
        coming.delete(image.id);
        if (place === null) return;
        keep(place);
        used(image);
      });
    },
    used,
    async close() {
      closed = true;
      if (timer) clearTimeout(timer);
      await filling;
      for (const place of places.slice()) drop(place);
    },
  };
}
