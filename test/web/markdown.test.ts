import { describe, expect, it } from '@jest/globals';
import { assert, asyncProperty, constantFrom, string } from 'fast-check';
import { escapeMarkdown, markdownTable, plainMarkdown } from '#src/model/markdown.ts';
import { markdown } from '#src/web/markdown.ts';
import '#test/seeded.ts';

const rendered = async (text: string) =>
  String(await markdown(text))
    .replace(/^<div class="markdown">/, '')
    .replace(/<\/div>$/, '');

describe('Markdown of our own', () => {
  it.each([
    ['### Heading', '<h3>Heading</h3>'],
    ['one\ntwo\n\nthree', '<p>one two</p><p>three</p>'],
    ['- a\n- **b**', '<ul><li>a</li><li><strong>b</strong></li></ul>'],
    ['`a | b` and ``c ` d``', '<p><code>a | b</code> and <code>c ` d</code></p>'],
    ['[`1234567`](https://x.example/a?b)', '<p><a href="https://x.example/a?b"><code>1234567</code></a></p>'],
    ['\\*not\\* \\`code\\` &lt;b\\>', '<p>*not* `code` &lt;b&gt;</p>'],
    ['```text\na **b**\n\n| c |\n```\nafter', '<pre>a **b**\n\n| c |</pre><p>after</p>'],
    ['```\nnever ended', '<pre>never ended</pre>'],
    ['| no table', '<p>| no table</p>'],
    ['| a |\n| - |\n| `x\\|y` |', expect.stringContaining('<td><code>x|y</code></td>')],
    ['| a | b |\n| --- | --- |\n| x<br>y | c \\| d |', expect.stringContaining('<td>x<br>y</td><td>c | d</td>')],
    ['<script>alert(1)</script>', '<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>'],
    ['[x](javascript:alert(1))', '<p>[x](javascript:alert(1))</p>'],
    ['[x](https://a.example/"onclick="x)', '<p>[x](https://a.example/&quot;onclick=&quot;x)</p>'],
    ['', ''],
  ])('%j', async (text, expected) => {
    expect(await rendered(text)).toEqual(expected);
  });

  it('makes nothing of what others wrote but text', async () => {
    await assert(
      asyncProperty(string({ unit: 'grapheme', maxLength: 40 }), hostile, async (text, more) => {
        const name = `${text}${more}`;
        const html = await rendered(markdownTable(['a'], [[escapeMarkdown(name)]]));
        expect(
          html.replaceAll(/<\/?(?:div(?: class="table")?|table|thead|tbody|tr|th(?: scope="col")?|td)>/g, ''),
        ).not.toMatch(/[<>"]/);
        expect(html.match(/<td>/g)).toHaveLength(1);
      }),
    );
  });

  it('can be read without it', () => {
    expect(plainMarkdown('**production** is `locked` by [@ada](https://x.example): a\\_b &lt;c\\>')).toBe(
      'production is locked by @ada: a_b <c>',
    );
  });
});

const hostile = constantFrom('', '<b>', '|', '\\|', '`', '**x**', '[x](https://e.example)', '&lt;', '\n- x', '<br>');
