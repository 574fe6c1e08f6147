import { html } from 'hono/html';
import type { EnvironmentStatus } from '#src/engine/deploy/where.ts';
import type { DeploymentRecord } from '#src/engine/store-deployments.ts';
import { isPreview } from '#src/model/concurrency.ts';
import { rollbackTarget } from '#src/model/deploy/rollback-target.ts';
import { fullName, type Repository } from '#src/model/repository.ts';
import type { Html } from './layout.ts';

export const environmentActions = ['rollback', 'promote', 'lock', 'unlock', 'cancel'] as const;
export type EnvironmentAction = (typeof environmentActions)[number];

/** Takes a POST of the operator's. */
export function actionPath(repository: Repository, action: EnvironmentAction): string {
  return `/environments/${fullName(repository)}/${action}`;
}

/** What the operator may do, each behind a fold that says what it would do: one press changes nothing. */
export function actionForms(
  repository: Repository,
  status: EnvironmentStatus,
  history: readonly DeploymentRecord[],
  all: readonly EnvironmentStatus[],
): Html | null {
  const { environment, running, current, lock } = status;
  const form = (action: EnvironmentAction, content: Html) =>
    html`<form method="post" action="${actionPath(repository, action)}">${content}</form>`;
  const fold = (action: EnvironmentAction, title: string, content: Html) =>
    html`<details class="action" id="${action}-${environment}"><summary class="button quiet">${title}</summary><div>${content}</div></details>`;
  const here = html`<input type="hidden" name="environment" value="${environment}">`;
  const cancel =
    running !== null &&
    fold(
      'cancel',
      'Cancel',
      form(
        'cancel',
        html`<input type="hidden" name="job" value="${running.job.id}"><p>What was changed goes back to what ran before.</p><button class="button">Cancel this deployment</button>`,
      ),
    );
  // A preview is its pull request's: it goes neither back nor on.
  if (isPreview(environment)) return cancel ? html`<div class="actions">${cancel}</div>` : null;
  const back = rollbackTarget(history, null);
  const others = all.filter((one) => one.environment !== environment && one.spec !== null);
  return html`<div class="actions">
${back.kind === 'found' && fold('rollback', 'Roll back', rollbackContent(form, here, back.record))}
${
  current !== null &&
  others.length > 0 &&
  fold(
    'promote',
    'Promote',
    form(
      'promote',
      html`<input type="hidden" name="from" value="${environment}"><label>The same images to <select name="to">${inOrder(environment, others).map((name) => html`<option>${name}</option>`)}</select></label><button class="button">Promote</button>`,
    ),
  )
}
${
  lock === null
    ? fold(
        'lock',
        'Lock',
        form(
          'lock',
          html`${here}<label>Why <input type="text" name="reason" maxlength="200" autocomplete="off"></label><button class="button">Lock ${environment}</button>`,
        ),
      )
    : form(
        'unlock',
        html`<input type="hidden" name="environment" value="${lock.environment}"><button class="button quiet">Unlock${lock.environment === '' ? ' the repository' : ''}</button>`,
      )
}
${cancel}
</div>`;
}

function rollbackContent(
  form: (action: EnvironmentAction, content: Html) => Html,
  here: Html,
  { sha, details, actor }: DeploymentRecord,
): Html {
  return form(
    'rollback',
    html`${here}<p>Restores <strong>${details.tag ?? (details.title || 'the images')}</strong> of <code>${sha.slice(0, 7)}</code>, deployed by ${actor}.</p>
<label class="check"><input type="checkbox" name="overLock" value="yes"> Even if it is locked</label>
<button class="button">Roll back now</button>`,
  );
}

/** Those that come after this one stand first. */
function inOrder(environment: string, others: readonly EnvironmentStatus[]): readonly string[] {
  const after = others.filter(({ spec }) => spec?.rules.after.includes(environment));
  return [...after, ...others.filter((one) => !after.includes(one))].map((one) => one.environment);
}
