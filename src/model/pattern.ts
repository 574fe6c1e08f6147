/**
 * True if the glob matches the whole text, a name of a branch or tag. `*` stands for any characters but `/`,
 * `**` for any characters, `?` for one character but `/`, `[abc]` and `[a-z]` for one of a set (`[!...]`: not of
 * it), `\` takes the next character as it is. Time is at most pattern times text: patterns come from strangers.
 */
export function matchesPattern(pattern: string, text: string): boolean {
  const tokens = tokenize(pattern);
  let states = skipStars(tokens, new Set([0]));
  for (const char of text) {
    const next = new Set<number>();
    for (const state of states) {
      const token = tokens[state];
      if (token === undefined || !accepts(token, char)) continue;
      next.add(token.kind === 'stars' || token.kind === 'star' ? state : state + 1);
    }
    states = skipStars(tokens, next);
    if (states.size === 0) return false;
  }
  return states.has(tokens.length);
}

/** Why the text is no pattern, or null if it is one. */
export function patternProblem(pattern: string): string | null {
  if (pattern === '') return 'it is empty';
  if (pattern.length > 255) return 'it is longer than 255 characters';
  if (pattern.startsWith('refs/')) return 'it starts with refs/: write the name of the branch or tag alone';
  if (tokenize(pattern).some((token) => token.kind === 'set' && token.ranges.length === 0)) return 'a [ has no ]';
  return null;
}

type Token =
  | { readonly kind: 'star' | 'stars' | 'any' }
  | { readonly kind: 'char'; readonly char: string }
  | { readonly kind: 'set'; readonly negated: boolean; readonly ranges: readonly (readonly [string, string])[] };

function tokenize(pattern: string): Token[] {
  const chars = Array.from(pattern);
  const tokens: Token[] = [];
  for (let i = 0; i < chars.length; i += 1) {
    const char = chars[i] ?? '';
    if (char === '*') {
      const double = chars[i + 1] === '*';
      tokens.push({ kind: double ? 'stars' : 'star' });
      if (double) i += 1;
    } else if (char === '?') {
      tokens.push({ kind: 'any' });
    } else if (char === '\\' && i + 1 < chars.length) {
      i += 1;
      tokens.push({ kind: 'char', char: chars[i] ?? '' });
    } else if (char === '[') {
      const end = chars.indexOf(']', i + 1);
      tokens.push(parseSet(end < 0 ? [] : chars.slice(i + 1, end)));
      i = end < 0 ? chars.length : end;
    } else {
      tokens.push({ kind: 'char', char });
    }
  }
  return tokens;
}

function parseSet(chars: readonly string[]): Token {
  const negated = chars[0] === '!';
  const members = negated ? chars.slice(1) : chars;
  const ranges: (readonly [string, string])[] = [];
  for (let i = 0; i < members.length; i += 1) {
    const from = members[i] ?? '';
    const to = members[i + 1] === '-' ? members[i + 2] : undefined;
    ranges.push([from, to ?? from]);
    if (to !== undefined) i += 2;
  }
  return { kind: 'set', negated, ranges };
}

function accepts(token: Token, char: string): boolean {
  switch (token.kind) {
    case 'stars':
      return true;
    case 'star':
    case 'any':
      return char !== '/';
    case 'char':
      return char === token.char;
    case 'set':
      return char !== '/' && token.negated !== token.ranges.some(([from, to]) => from <= char && char <= to);
  }
}

/** A star may stand for nothing: whoever stands before it stands behind it, too. */
function skipStars(tokens: readonly Token[], states: ReadonlySet<number>): Set<number> {
  const all = new Set(states);
  // What is added is looked at in its turn, each state once.
  for (const state of all) {
    if (tokens[state]?.kind === 'star' || tokens[state]?.kind === 'stars') all.add(state + 1);
  }
  return all;
}
