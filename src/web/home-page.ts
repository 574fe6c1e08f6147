import { html } from 'hono/html';
import { fullName } from '#src/model/repository.ts';
import type { Run } from '#src/model/run.ts';
import { describeTrigger } from './format.ts';
import { type Html, pill, time, took } from './layout.ts';
import { runStatus } from './page-parts.ts';
import type { Links } from './signer.ts';

/** The last runs. `older`: where the next page is, or null on the last. `absolute`: links for elsewhere. */
export function homeBody(
  runs: readonly Run[],
  links: Links,
  absolute: Pick<Links, 'badge'>,
  older: string | null,
  now: number,
): Html {
  if (runs.length === 0) {
    return html`<section class="notice"><h1>No runs yet</h1>
<p>Install the App on a repository and push a commit, or open a pull request. Its run appears here.</p></section>`;
  }
  return html`<h1>Runs</h1>
<ol class="runs">${runs.map(
    (run) => html`<li>
<span class="state">${pill(runStatus(run))}</span>
<span class="what"><a href="${links.run(run.id)}">${run.trigger.title || run.trigger.sha.slice(0, 10)}</a>
<span class="note">${fullName(run.repository)} · ${describeTrigger(run.trigger)} · <code>${run.trigger.sha.slice(0, 7)}</code> · ${run.trigger.actor}</span></span>
<span class="when">${time(run.createdAt)} ${took(run.startedAt, run.finishedAt, now)}</span>
</li>`,
  )}</ol>
${older !== null && html`<p><a class="button" rel="next" href="${older}">Older runs</a></p>`}
${badges(runs, absolute)}`;
}

/** The badge of each repository for its README; a private one's address is signed, so people can't write it themselves. */
function badges(runs: readonly Run[], links: Pick<Links, 'badge'>): Html {
  const repositories = new Map(runs.map(({ repository }) => [fullName(repository), repository]));
  return html`<h2>Badges</h2>
<p class="note">For a README. Whoever has the address of a private repository's badge sees its state.</p>
<ul>${[...repositories.values()].map(
    (repository) => html`<li><code>![build](${links.badge(repository, null)})</code></li>`,
  )}</ul>`;
}

export const operatorNav = html`<nav><a href="/environments">Environments</a>
<form method="post" action="/sign-out"><button class="link">Sign out</button></form></nav>`;

export function signInBody(failed: boolean): Html {
  return html`<section class="notice"><h1>Sign in</h1>
<p>This page is for the operator of this server. Links to a run, as check runs have them, work without signing in.</p>
${failed && html`<p class="reason" role="alert">That isn't the token. It is the value of SLIPWAY_TOKEN in the server's settings.</p>`}
<form method="post" action="/sign-in">
<label>Token <input type="password" name="token" autocomplete="current-password" required autofocus></label>
<button class="button">Sign in</button>
</form></section>`;
}

export function closedBody(): Html {
  return html`<section class="notice"><h1>Slipway is running</h1>
<p>To see the last runs here, set <code>SLIPWAY_TOKEN</code> to a long random text (<code>openssl rand -hex 32</code>
makes one), start the server again and sign in with it. Links to a run, as check runs have them, work without.</p></section>`;
}
