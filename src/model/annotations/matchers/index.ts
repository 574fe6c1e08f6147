import type { Matcher } from '#src/model/annotations/matcher.ts';
import { eslint } from './eslint.ts';
import { gcc } from './gcc.ts';
import { go } from './go.ts';
import { javac } from './javac.ts';
import { pytest } from './pytest.ts';
import { python } from './python.ts';
import { rust } from './rust.ts';
import { tsc } from './tsc.ts';

/** Every tool whose output is understood. Where two recognise a line the earlier one has it, so the general come last. */
export const matchers: readonly Matcher[] = [tsc, eslint, pytest, python, rust, javac, go, gcc];
