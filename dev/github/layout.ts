import type { ServerResponse } from 'node:http';
import { html, raw } from 'hono/html';
import type { HtmlEscapedString } from 'hono/utils/html';

export type Html = HtmlEscapedString | Promise<HtmlEscapedString>;

const STYLE = `
:root { color-scheme: light dark; --line: light-dark(#d0d7de, #444c56); --dim: light-dark(#59636e, #9198a1) }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top }
pre { white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid var(--line); border-radius: 6px; padding: .8rem; font-size: 13px }
details { border: 1px solid var(--line); border-radius: 6px; padding: .5rem .8rem; margin: .5rem 0 }
.dim { color: var(--dim) } .success { color: light-dark(#1a7f37, #3fb950) }
.failure, .error, .timed_out { color: light-dark(#cf222e, #f85149) } .in_progress, .queued, .pending, .action_required { color: light-dark(#9a6700, #d29922) }`;

/** Sends a page in the stand-in's plain dress. */
export async function sendPage(response: ServerResponse, status: number, title: string, content: Html): Promise<void> {
  const page = await html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width" />
        <title>${title}</title>
        <style>${raw(STYLE)}</style>
      </head>
      <body>
        <p class="dim"><a href="/">A small GitHub</a></p>
        <h1>${title}</h1>
        ${content}
      </body>
    </html>`;
  response.writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
  response.end(String(page));
}
