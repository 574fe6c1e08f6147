import { type Found, type Matcher, nothing, type Places } from '#src/model/annotations/matcher.ts';

const maxErrorLines = 12;

interface Block {
  readonly name: string;
  readonly errors: string[];
  /** The innermost frame inside the repository. */
  place: { readonly path: string; readonly line: number } | null;
}

/** pytest's sections FAILURES and ERRORS: a block a test, `E` lines with the reason, `file:line:` for each frame. */
export const pytest: Matcher = {
  name: 'pytest',
  start(places) {
    let inSection = false;
    let block: Block | null = null;

    function close(): readonly Found[] {
      const done = block ? foundIn(block) : nothing;
      block = null;
      return done;
    }
    return {
      line(text) {
        if (text.startsWith('====')) {
          const title = /^=+ (.+?) =+$/.exec(text)?.[1];
          if (title === undefined) return nothing;
          inSection = title === 'FAILURES' || title === 'ERRORS';
          return close();
        }
        if (!inSection) return nothing;
        const heading = text.startsWith('__') ? /^_{2,} (.+?) _{2,}$/.exec(text) : null;
        if (heading) {
          const done = close();
          block = { name: heading[1] ?? '', errors: [], place: null };
          return done;
        }
        if (block) note(block, text, places);
        return nothing;
      },
      end: close,
    };
  },
};

function note(block: Block, text: string, places: Places): void {
  if (/^E( {3}|$)/.test(text)) {
    if (block.errors.length < maxErrorLines) block.errors.push(text.slice(1).trim());
    return;
  }
  const frame = /^([^\s:][^:]*\.py):(\d+): ?(?:in .*|[\w.]*)$/.exec(text);
  if (frame && places.locate(frame[1] ?? '') !== null) block.place = { path: frame[1] ?? '', line: Number(frame[2]) };
}

function foundIn(block: Block): readonly Found[] {
  if (!block.place) return nothing;
  const message = block.errors.join('\n') || `${block.name} failed`;
  return [{ ...block.place, level: 'failure', title: block.name, message }];
}
