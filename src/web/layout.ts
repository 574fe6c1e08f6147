import { html } from 'hono/html';
import type { Assets } from './assets.ts';
import { formatDuration, formatTime, type Status } from './format.ts';

/** HTML made by the `html` tag, which escapes what is put into it. */
export type Html = ReturnType<typeof html>;

export interface PageParts {
  readonly title: string;
  readonly body: Html;
  /** Right of the name in the head of the page. */
  readonly nav?: Html;
}

/** A whole page. */
export function page(assets: Assets, { title, body, nav }: PageParts): Html {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title} · Slipway</title>
<link rel="icon" href="${assets.url('icon.svg')}" type="image/svg+xml">
<link rel="stylesheet" href="${assets.url('style.css')}">
<script src="${assets.url('page.js')}" defer></script>
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header class="top"><a class="brand" href="/"><img src="${assets.url('icon.svg')}" alt="" width="22" height="22">Slipway</a>${nav}</header>
<main id="main">
${body}
</main>
</body>
</html>
`;
}

export function pill(status: Status): Html {
  return html`<span class="pill ${status.look}">${status.text}</span>`;
}

export function time(at: number): Html {
  return html`<time datetime="${new Date(at).toISOString()}">${formatTime(at)}</time>`;
}

/** How long it took, or how long it has been going on, which the page's script counts on. */
export function took(startedAt: number | null, finishedAt: number | null, now: number): Html | null {
  if (startedAt === null) return null;
  if (finishedAt !== null) return html`<span class="took">${formatDuration(finishedAt - startedAt)}</span>`;
  return html`<span class="took" data-running="${now - startedAt}">${formatDuration(now - startedAt)}</span>`;
}

/** A page that says what is the matter and what to do. */
export function message(assets: Assets, title: string, text: string): Html {
  return page(assets, { title, body: html`<section class="notice"><h1>${title}</h1><p>${text}</p></section>` });
}
