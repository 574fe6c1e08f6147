/** The known word that was probably meant, or null: at most two slips, and fewer than half of the letters. */
export function nearest(word: string, known: Iterable<string>): string | null {
  if (word.length > 100) return null;
  let best: string | null = null;
  let least = Math.min(2, Math.floor((word.length - 1) / 2)) + 1;
  for (const candidate of known) {
    if (Math.abs(candidate.length - word.length) >= least) continue;
    const slips = distance(word.toLowerCase(), candidate.toLowerCase());
    if (slips < least) [best, least] = [candidate, slips];
  }
  return best;
}

/** `Did you mean "x"?`, or what there is to choose from, or ''. */
export function suggestion(word: string, known: readonly string[]): string {
  const meant = nearest(word, known);
  if (meant !== null) return `Did you mean "${meant}"?`;
  if (known.length === 0) return '';
  return `There ${known.length === 1 ? 'is' : 'are'} ${list(known.slice(0, 30))}${known.length > 30 ? ' ...' : ''}.`;
}

/** `a, b and c`. */
export function list(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

/** How many slips lie between two words: Levenshtein's, where two neighbours changing places count once. */
export function distance(a: string, b: string): number {
  let before: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min((above[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (above[j - 1] ?? 0) + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, (before[j - 2] ?? 0) + 1);
      row.push(best);
    }
    before = above;
    above = row;
  }
  return above[b.length] ?? 0;
}
