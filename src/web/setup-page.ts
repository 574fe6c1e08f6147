import { html } from 'hono/html';
import type { Html } from './layout.ts';

/** GitHub's App manifest flow: https://docs.github.com/en/apps/sharing-github-apps/registering-a-github-app-from-a-manifest */
export interface Setup {
  /**
   * What the browser posts to GitHub: the manifest as JSON, to `action`, which has the state in its query.
   * `organization` is to own the App; null: the person who clicks.
   */
  begin(organization: string | null): { readonly action: string; readonly manifest: string };
  /** Takes the code that GitHub answered with. Throws UserError if the state isn't one of `begin`. */
  complete(code: string, state: string): Promise<{ readonly name: string; readonly url: string }>;
}

/** Asks for the token that the server wrote to its log, so that no stranger registers an App of his own here. */
export function askTokenBody(failed: boolean): Html {
  return html`<section class="notice"><h1>Set up Slipway</h1>
<p>This server has no GitHub App yet. Its log shows a one-time token, in the line that names this page: enter it to go on.</p>
${failed && html`<p class="reason" role="alert">That isn't the token. Look for the newest one: each start of the server makes another.</p>`}
<form method="post" action="/setup">
<label>Token <input type="password" name="token" autocomplete="off" required autofocus></label>
<label>Organization that is to own the App <span class="note">(empty: your own account)</span>
<input type="text" name="organization" autocomplete="off" maxlength="39" pattern="[A-Za-z0-9\-]*"></label>
<button class="button">Continue</button>
</form></section>`;
}

export function manifestBody({ action, manifest }: ReturnType<Setup['begin']>): Html {
  return html`<section class="notice"><h1>Register the App</h1>
<ol>
<li>GitHub shows the App's name and what it may do; confirm it.</li>
<li>You come back here, and the App's key is kept on this server.</li>
<li>Install the App on a repository.</li>
</ol>
<form method="post" action="${action}">
<input type="hidden" name="manifest" value="${manifest}">
<button class="button" autofocus>Continue to ${new URL(action).host}</button>
</form></section>`;
}

export function registeredBody({ name, url }: { readonly name: string; readonly url: string }): Html {
  return html`<section class="notice"><h1>${name} is registered</h1>
<p>Next, install it on a repository. The first push or pull request there makes the first run.</p>
<p><a class="button" href="${url}">Install ${name}</a></p></section>`;
}
