import { quoted, refuse } from './refusal.ts';

/**
 * The engine asks registries from the host, where more can be reached than from a job, and takes those on the host itself
 * without TLS: nobody may have it ask what tells of the machine, and strangers nothing on the host or near it. `host` may
 * have a port. Throws Refused.
 */
export function checkRegistry(host: string, trusted: boolean): void {
  const name = host.replace(/:\d+$/, '');
  const isMetadata = /^169\.254\.|^(?:168\.63\.129\.16|100\.100\.100\.200)$/.test(name);
  // A last part of digits is no name: an address, in any of its forms (127.1, 0x7f000001).
  const isNear = !name.includes('.') || name.endsWith('.localhost') || /(?:^|\.)(?:\d+|0x[0-9a-f]*)$/.test(name);
  if (isMetadata || (isNear && !trusted)) {
    refuse(`${quoted(host)} is no registry that the engine asks for ${trusted ? 'a job' : "a stranger's job"}.`);
  }
}
