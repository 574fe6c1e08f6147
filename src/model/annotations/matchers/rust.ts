import { columnOf, type Found, levelOf, type Matcher, nothing } from '#src/model/annotations/matcher.ts';

const maxPanicLines = 6;

/** rustc, cargo and clippy: a heading, then `--> file:line:column`; and panics of tests. */
export const rust: Matcher = {
  name: 'rust',
  start() {
    let heading: { readonly level: string; readonly code: string; readonly message: string } | null = null;
    let panic: (Omit<Found, 'message'> & { readonly said: string[] }) | null = null;

    function settle(): readonly Found[] {
      if (!panic) return nothing;
      const { said, ...rest } = panic;
      panic = null;
      return [{ ...rest, message: said.join('\n') }];
    }
    return {
      end: settle,
      line(text): readonly Found[] {
        if (panic) {
          const over = text === '' || text.startsWith('note: ') || text.startsWith('stack backtrace:');
          if (over || panic.said.push(text) >= maxPanicLines) return settle();
          return nothing;
        }
        if (text.startsWith('thread ')) {
          const match = /^thread '([^']+)'(?: \(\d+\))? panicked at ([^\s:'][^:']*):(\d+):(\d+):$/.exec(text);
          const [, title = '', path = '', line, column] = match ?? [];
          if (match) panic = { path, line: Number(line), ...columnOf(column), level: 'failure', title, said: [] };
          return nothing;
        }
        const head = /^(error|warning)(?:\[([\w:]+)\])?: (.+)/.exec(text);
        if (head) {
          heading = { level: head[1] ?? '', code: head[2] ?? '', message: head[3] ?? '' };
          return nothing;
        }
        const arrow = heading && text.includes('--> ') ? /^ *--> ([^\s:][^:]*):(\d+):(\d+)$/.exec(text) : null;
        if (!arrow || !heading) return nothing;
        const [, path = '', line, column] = arrow;
        const { level, code, message } = heading;
        heading = null;
        const title = code ? { title: code } : {};
        return [{ path, line: Number(line), ...columnOf(column), level: levelOf(level), ...title, message }];
      },
    };
  },
};
