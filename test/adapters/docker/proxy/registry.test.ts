import { describe, expect, it } from '@jest/globals';
import { ask, JOB } from './world.ts';

describe('a registry', () => {
  const pull = (name: string, job = JOB) =>
    ask('POST', `/images/create?fromImage=${encodeURIComponent(name)}&tag=1`, '', job).order.kind;
  const look = (name: string, job = JOB) => ask('GET', `/distribution/${name}/json`, '', job).order.kind;
  const stranger = { ...JOB, trusted: false };
  it.each(['169.254.169.254/a', '169.254.169.254:80/a', '168.63.129.16:80/a', '100.100.100.200:80/a'])(
    "isn't the cloud's metadata: %s",
    (name) => {
      expect([pull(name), look(name), pull(name, stranger), look(name, stranger)]).toEqual(
        Array.from({ length: 4 }, () => 'refusal'),
      );
    },
  );
  it.each([
    'localhost/a',
    'localhost:5000/a',
    'LOCALHOST/a',
    'a.localhost/a',
    '127.0.0.1:5000/a',
    '10.0.0.1/a',
    '127.1:80/a',
    '2130706433:80/a',
    '0x7f000001:80/a',
    '0x7f.1/a',
    'registry:5000/a',
  ])('of the host or near it is none for a stranger: %s', (name) => {
    expect([pull(name, stranger), look(name, stranger)]).toEqual(['refusal', 'refusal']);
    expect(pull(name)).toBe('request');
  });
  it.each(['alpine', 'acme/app', 'ghcr.io/acme/app', 'registry.example:5000/a', 'docker.io/library/alpine'])(
    'of the world is for all: %s',
    (name) => expect(pull(name, stranger)).toBe('request'),
  );
});
