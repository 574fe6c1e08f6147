import { html, raw } from 'hono/html';
import type { Html } from './layout.ts';

/**
 * The Markdown that Slipway itself writes of deployments, as HTML: headings, paragraphs, lists, tables, fenced code; in a
 * line code, bold text and links. Whatever else stands in it is shown as it stands: nothing of it is ever HTML.
 */
export function markdown(text: string): Html {
  const lines = text.split(/\r?\n/);
  const blocks: Html[] = [];
  let at = 0;
  /** Takes lines as long as they are of this kind. */
  const take = (is: (line: string) => boolean): string[] => {
    const from = at;
    while (at < lines.length && is(lines[at] ?? '')) at += 1;
    return lines.slice(from, at);
  };
  while (at < lines.length) {
    const line = lines[at] ?? '';
    const fence = /^(`{3,})[\w-]*$/.exec(line)?.[1];
    if (fence !== undefined) {
      at += 1;
      const code = take((it) => it !== fence);
      at += 1;
      blocks.push(html`<pre>${code.join('\n')}</pre>`);
    } else if (isRow(line) && /^\|(?:\s*:?-+:?\s*\|)+\s*$/.test(lines[at + 1] ?? '')) {
      blocks.push(table(take(isRow)));
    } else if (isItem(line)) {
      blocks.push(html`<ul>${take(isItem).map((item) => html`<li>${inline(item.slice(2))}</li>`)}</ul>`);
    } else if (/^#{1,6} /.test(line)) {
      at += 1;
      blocks.push(html`<h3>${inline(line.replace(/^#+ /, ''))}</h3>`);
    } else if (line.trim() === '') {
      at += 1;
    } else {
      // The first may look like a table that isn't one.
      at += 1;
      blocks.push(html`<p>${inline([line, ...take(isText)].join(' '))}</p>`);
    }
  }
  return html`<div class="markdown">${blocks}</div>`;
}

function isRow(line: string): boolean {
  return line.startsWith('|');
}

function isItem(line: string): boolean {
  return /^[-*] /.test(line);
}

function isText(line: string): boolean {
  return line.trim() !== '' && !isRow(line) && !isItem(line) && !/^(?:#{1,6} |`{3,})/.test(line);
}

function table([head = '', , ...rows]: readonly string[]): Html {
  return html`<div class="table"><table><thead><tr>${cells(head).map((it) => html`<th scope="col">${inline(it)}</th>`)}</tr></thead>
<tbody>${rows.map((row) => html`<tr>${cells(row).map((it) => html`<td>${inline(it)}</td>`)}</tr>`)}</tbody></table></div>`;
}

/** A `\|` is no border. */
function cells(row: string): readonly string[] {
  const inner = row
    .trim()
    .replace(/^\|/, '')
    .replace(/(?<!\\)\|$/, '');
  return inner.split(/(?<!\\)\|/).map((cell) => cell.trim());
}

const token =
  /\\([!-/:-@[-`{-~])|(?<ticks>`+)(?<code>[^`](?:.*?[^`])?)\k<ticks>(?!`)|\*\*(?<bold>[^*]+)\*\*|\[(?<label>(?:\\.|[^\]\\])*)\]\((?<href>https?:\/\/[^\s()<>"]+)\)|(?<entity>&(?:lt|gt|amp);)|(?<rule><br>)/g;

const entities: Readonly<Record<string, string>> = { '&lt;': '<', '&gt;': '>', '&amp;': '&' };

function inline(text: string): Html {
  const parts: (Html | string)[] = [];
  let end = 0;
  for (const match of text.matchAll(token)) {
    parts.push(text.slice(end, match.index));
    end = match.index + match[0].length;
    const { code, bold, label, href, entity, rule } = match.groups ?? {};
    if (match[1] !== undefined) parts.push(match[1]);
    else if (code !== undefined) parts.push(html`<code>${code.replaceAll('\\|', '|')}</code>`);
    else if (bold !== undefined) parts.push(html`<strong>${inline(bold)}</strong>`);
    else if (href !== undefined) parts.push(html`<a href="${href}">${inline(label ?? '')}</a>`);
    else if (entity !== undefined) parts.push(entities[entity] ?? entity);
    else if (rule !== undefined) parts.push(raw('<br>'));
  }
  parts.push(text.slice(end));
  return html`${parts}`;
}
