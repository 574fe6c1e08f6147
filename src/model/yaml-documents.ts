import { type Document, isScalar, parseAllDocuments, visit } from 'yaml';

/** More than this takes the library too long, and a server does nothing else meanwhile. */
const mostCharacters = 512 * 1024;
const mostDocuments = 500;

/**
 * The documents of a YAML file (JSON is YAML, too), or what is wrong with it, with its place. `version`: 1.1 is what kubectl
 * reads, in which 0644 is octal. Takes time in proportion to the file, whatever is in it.
 */
export function readDocuments(text: string, version: '1.1' | '1.2'): readonly Document.Parsed[] | string {
  if (text.length > mostCharacters) return `it has ${text.length} characters; at most ${mostCharacters} are read.`;
  if ((text.match(/^---/gm)?.length ?? 0) > mostDocuments) return `it has more than ${mostDocuments} documents.`;
  // The library's own look for keys that are there twice compares each with each.
  const read = parseAllDocuments(text, { version, uniqueKeys: false, prettyErrors: false, logLevel: 'silent' });
  const documents = 'empty' in read ? [] : read;
  for (const { errors } of documents) {
    const [error] = errors;
    if (!error) continue;
    const tooDeep = /call stack/i.test(error.message);
    return `it isn't YAML at ${place(text, error.pos[0])}: ${tooDeep ? 'it is nested too deeply' : error.message}`;
  }
  for (const document of documents) {
    const twice = doubleKey(document);
    if (twice) return `the key "${twice.key.slice(0, 100)}" is there twice, again at ${place(text, twice.at)}.`;
  }
  return documents;
}

function doubleKey(document: Document.Parsed): { readonly key: string; readonly at: number } | null {
  let found: { readonly key: string; readonly at: number } | null = null;
  visit(document, {
    Map(_, map) {
      const seen = new Set<string>();
      for (const { key } of map.items) {
        if (!isScalar(key)) continue;
        const name = String(key.value);
        if (seen.has(name) && name !== '<<') {
          found = { key: name, at: key.range?.[0] ?? 0 };
          return visit.BREAK;
        }
        seen.add(name);
      }
      return undefined;
    },
  });
  return found;
}

function place(text: string, offset: number): string {
  const before = text.slice(0, offset).split('\n');
  return `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
}
