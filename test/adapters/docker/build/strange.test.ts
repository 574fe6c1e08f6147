import { describe, expect, it } from '@jest/globals';
import { hasProxy, refuseStrange } from '#src/adapters/docker/build/strange.ts';

const refuse = (text: string | null, args = {}) => refuseStrange('Dockerfile', text, args);

describe("a stranger's Dockerfile", () => {
  it.each([
    'FROM a',
    '# syntax=docker/dockerfile:1\nFROM a',
    '#syntax = docker.io/docker/dockerfile:1.7-labs\r\nFROM a',
    '# syntax=docker/dockerfile\nFROM a',
    '# check=skip=all\n# about syntax\nFROM a',
    'ARG A="{"\nFROM a',
  ])('may be %j', (text) => {
    expect(refuse(text)).toBeNull();
  });

  it.each([
    '# syntax=eve/frontend\nFROM a',
    '#syntax=eve/frontend',
    '#\tSyNtAx\t=\teve/frontend\r\nFROM a',
    '\uFEFF# syntax=eve/frontend\nFROM a',
    '\u0085# syntax=eve/frontend\nFROM a',
    '  # escape=`\n  # syntax=eve/frontend\nFROM a',
    '// syntax=eve/frontend\nFROM a',
    '#!/usr/bin/env docker\n// syntax=eve/frontend',
    '{"syntax": "eve/frontend"}',
    ' \n{"s\\u0079ntax": "eve/frontend"}\nFROM a',
    '#!/bin/x\n\uFEFF{ "syntax": "eve/frontend" }',
    '# syntax=docker/dockerfile:1 @eve/frontend\nFROM a',
    '# syntax=docker/dockerfile/../../eve\nFROM a',
    '# syntax=docker.io.eve.org/docker/dockerfile:1\nFROM a',
    '# syntax=eve.org/docker/dockerfile:1\nFROM a',
    `# syntax=docker/dockerfile@sha256:${'a'.repeat(64)}\nFROM a`,
    '# syntax=docker/dockerfile:1\n# syntax=eve/frontend\nFROM a',
  ])('chooses no frontend: %j', (text) => {
    expect(refuse(text)).toContain("a stranger's image is built by Docker's own alone");
  });

  it('chooses none by an argument, and is a file that was looked at', () => {
    expect(refuse('FROM a', { BUILDKIT_SYNTAX: 'docker/dockerfile:1' })).toContain('BUILDKIT_SYNTAX');
    expect(refuse(null)).toContain('Dockerfile is missing');
  });
});

it.each(['HTTP_PROXY', 'https_proxy', 'Ftp_Proxy', 'no_proxy', 'ALL_PROXY'])('%s is a proxy', (name) => {
  expect([hasProxy({ [name]: '' }), hasProxy({ [`X${name}`]: '' })]).toEqual([true, false]);
});
