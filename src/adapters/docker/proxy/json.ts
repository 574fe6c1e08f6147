import { misread } from './refusal.ts';

/** Deeper than any request of the API. */
const DEPTH = 32;
/** More would be no request of a person. */
const VALUES = 50_000;

/**
 * Reads JSON strictly: no name twice in an object (readers differ on which one counts), bounded depth and number of
 * values, finite numbers; objects without a prototype, so that `__proto__` is a name like any other. Throws Refused.
 */
export function parseJson(text: string): unknown {
  // JSON.parse settles what is JSON at all; the walk below only has to find its way.
  try {
    JSON.parse(text);
  } catch {
    misread('The body is no JSON.');
  }
  const reader = new Reader(text);
  return reader.value(0);
}

class Reader {
  readonly #text: string;
  #at = 0;
  #values = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(depth: number): unknown {
    if (depth > DEPTH) misread('The JSON is nested too deep.');
    this.#values += 1;
    if (this.#values > VALUES) misread('The JSON has too many values.');
    switch (this.#peek()) {
      case '{':
        return this.#object(depth);
      case '[':
        return this.#array(depth);
      case '"':
        return this.#string();
      default:
        return this.#word();
    }
  }

  #object(depth: number): unknown {
    const object = Object.create(null) as Record<string, unknown>;
    this.#at += 1;
    while (this.#peek() !== '}') {
      if (this.#peek() === ',') this.#at += 1;
      this.#peek();
      const name = this.#string();
      if (Object.hasOwn(object, name)) misread(`The JSON has ${JSON.stringify(name.slice(0, 80))} twice.`);
      this.#peek();
      this.#at += 1; // the colon
      object[name] = this.value(depth + 1);
    }
    this.#at += 1;
    return object;
  }

  #array(depth: number): unknown {
    const array: unknown[] = [];
    this.#at += 1;
    while (this.#peek() !== ']') {
      if (this.#peek() === ',') this.#at += 1;
      array.push(this.value(depth + 1));
    }
    this.#at += 1;
    return array;
  }

  #string(): string {
    const start = this.#at;
    this.#at += 1;
    for (;;) {
      const char = this.#text[this.#at];
      if (char === '\\') this.#at += 2;
      else if (char === '"') break;
      else this.#at += 1;
    }
    this.#at += 1;
    return JSON.parse(this.#text.slice(start, this.#at)) as string;
  }

  #word(): unknown {
    const start = this.#at;
    while (this.#at < this.#text.length && /[\w.+-]/.test(this.#text[this.#at] as string)) this.#at += 1;
    const value = JSON.parse(this.#text.slice(start, this.#at)) as unknown;
    if (typeof value === 'number' && !Number.isFinite(value)) misread('The JSON has a number that is too big.');
    return value;
  }

  /** The next character that isn't white space. */
  #peek(): string | undefined {
    while (/[ \t\n\r]/.test(this.#text[this.#at] ?? '')) this.#at += 1;
    return this.#text[this.#at];
  }
}
