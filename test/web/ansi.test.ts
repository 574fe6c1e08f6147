import { expect, it } from '@jest/globals';
import { plain, renderLine, type Style } from '#src/web/ansi.ts';

const e = '\x1b';

it.each<[what: string, line: string, html: string]>([
  ['plain text', 'all good', 'all good'],
  [
    'what HTML would take for its own',
    `<script>alert("1 & '2'")</script>`,
    '&lt;script&gt;alert(&quot;1 &amp; &#39;2&#39;&quot;)&lt;/script&gt;',
  ],
  ['markup inside of a colour', `${e}[31m<b>${e}[0m`, '<span class="f1">&lt;b&gt;</span>'],
  ['a colour and its end', `a ${e}[32mok${e}[39m b`, 'a <span class="f2">ok</span> b'],
  ['several codes at once', `${e}[1;4;97;41mX${e}[m`, '<span class="f15 b1 bold underline">X</span>'],
  [
    'dim and italic, ended one by one',
    `${e}[2;3ma${e}[22mb${e}[23mc`,
    '<span class="dim italic">a</span><span class="italic">b</span>c',
  ],
  [
    'the 256 colours',
    `${e}[38;5;9ma${e}[38;5;196mb${e}[38;5;240mc${e}[0m`,
    '<span class="f9">a</span><span class="f9">b</span><span class="f8">c</span>',
  ],
  [
    '24-bit colours',
    `${e}[38;2;0;90;200ma${e}[48;2;250;240;20;1mb${e}[0m`,
    '<span class="f12">a</span><span class="f12 b11 bold">b</span>',
  ],
  ['an unknown code', `${e}[31;73mx${e}[0m`, '<span class="f1">x</span>'],
  ['cursor movements and erasing', `${e}[2K${e}[1Gdone${e}[?25h`, 'done'],
  ['a hyperlink, whose text stays', `${e}]8;;https://evil.example\x07text${e}]8;;\x07`, 'text'],
  ['a window title without end', `ab${e}]0;title`, 'ab'],
  ['a sequence that never ends', `ab${e}[31`, 'ab'],
  ['lone control characters', 'a\x00\x07\x08b\tc', 'ab\tc'],
  ['a progress line: the last state', ' 1%\r50%\r100%\r', '100%'],
  ['a Windows line end', 'text\r', 'text'],
  ['other scripts and emoji', 'größer 日本 🚢', 'größer 日本 🚢'],
])('renders %s', (_what, line, html) => {
  expect(renderLine(line, plain).html).toBe(html);
});

it('carries the style into the next line', () => {
  let style: Style = plain;
  const lines = [`${e}[33mone`, 'two', `three${e}[0m four`].map((line) => {
    const rendered = renderLine(line, style);
    style = rendered.style;
    return rendered.html;
  });
  expect(lines).toEqual([
    '<span class="f3">one</span>',
    '<span class="f3">two</span>',
    '<span class="f3">three</span> four',
  ]);
  expect(style).toEqual(plain);
});

it('is quick with a hostile line', () => {
  const started = performance.now();
  for (const part of [`${e}]`, `${e}[`, '\r', '<', `${e}[31m`, `${e}P${e}`]) renderLine(part.repeat(20_000), plain);
  expect(performance.now() - started).toBeLessThan(5_000);
});
