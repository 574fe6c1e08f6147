import type { Ref, Refusal } from './contract.ts';

/** The engine's own words for what isn't there: clients look for them (and for the status) before they pull or create. */
export function missing(ref: Ref): Refusal {
  return { kind: 'refusal', status: 404, message: messageOf(ref) };
}

function messageOf({ kind, name }: Ref): string {
  switch (kind) {
    case 'container':
      return `No such container: ${name}`;
    case 'network':
      return `network ${name} not found`;
    case 'volume':
      return `get ${name}: no such volume`;
    case 'exec':
      return `No such exec instance: ${name}`;
    case 'image':
      return `No such image: ${/[:@]/.test(name.slice(name.lastIndexOf('/') + 1)) ? name : `${name}:latest`}`;
  }
}
