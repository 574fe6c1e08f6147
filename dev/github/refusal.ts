import type { FieldError } from './description.ts';

/** An answer other than success, in GitHub's words. */
export class Refusal extends Error {
  readonly status: number;
  readonly errors: readonly unknown[];
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, errors: readonly unknown[] = [], headers: Record<string, string> = {}) {
    super(message);
    this.status = status;
    this.errors = errors;
    this.headers = headers;
  }

  body(): unknown {
    return {
      message: this.message,
      ...(this.errors.length > 0 && { errors: this.errors }),
      documentation_url: 'https://docs.github.com/rest',
      status: String(this.status),
    };
  }
}

export function notFound(): Refusal {
  return new Refusal(404, 'Not Found');
}

export function forbidden(): Refusal {
  return new Refusal(403, 'Resource not accessible by integration');
}

/** 422 as GitHub gives it. `code` is one of its own, such as `invalid` or `missing_field`. */
export function invalid(resource: string, errors: readonly FieldError[], code = 'custom'): Refusal {
  return new Refusal(
    422,
    `Validation Failed: ${errors.map(({ field, message }) => `${field} ${message}`).join('; ')}`,
    errors.map((error) => ({ resource, code, ...error })),
  );
}

/** Length in characters (code points), as GitHub counts where it doesn't count bytes. */
export function characters(text: string): number {
  return Array.from(text).length;
}
