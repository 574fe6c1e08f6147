import { when } from '#src/model/deploy/words.ts';
import { harmless } from '#src/model/harmless.ts';
import { shortImage } from '#src/model/image-short.ts';
import { type EnvironmentJson, environmentsShape } from '#src/web/api-shapes.ts';
import { openServer, type ServerOptions } from './server.ts';

/** Prints which version is where: a line an environment, and what is the matter below. */
export async function apps(options: ServerOptions): Promise<void> {
  const server = await openServer(options);
  const query = new URLSearchParams({ repository: server.repository });
  const { environments } = await server.get(`/api/environments?${query.toString()}`, environmentsShape);
  if (environments.length === 0) {
    console.log(`${server.repository} has no environments, and nothing was deployed.`);
    return;
  }
  const rows = [
    ['ENVIRONMENT', 'VERSION', 'COMMIT', 'IMAGE', 'BY', 'SINCE', 'HEALTH', 'QUEUE'],
    ...environments.map(rowOf),
  ];
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  for (const row of rows)
    console.log(
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    );
  const all = environments.find(({ lock }) => lock?.wholeRepository)?.lock;
  const notes = [...(all ? [lockText('the whole repository', all)] : []), ...environments.flatMap(notesOf)];
  if (notes.length > 0) console.log(`\n${notes.map(harmless).join('\n')}`);
}

function rowOf({ name, current, health, running, queue }: EnvironmentJson): readonly string[] {
  const line =
    [...(running ? ['deploying'] : []), ...(queue.length > 0 ? [`${queue.length} waiting`] : [])].join(', ') || '-';
  const cells = current
    ? [
        name,
        current.tag ?? (cut(current.title) || '-'),
        current.sha.slice(0, 7),
        current.images.map(shortImage).join(' ') || '-',
        current.by,
        when(current.since),
        health.kind,
        line,
      ]
    : [name, '-', '-', '-', '-', '-', '-', line];
  return cells.map((cell) => harmless(cell.replaceAll(/\s+/g, ' ')));
}

function notesOf({ name, current, health, lock, running, queue }: EnvironmentJson): readonly string[] {
  return [
    ...(current !== null && health.kind !== 'healthy' ? [`${name} is ${health.kind}: ${health.message}.`] : []),
    ...(lock && !lock.wholeRepository ? [lockText(name, lock)] : []),
    ...(running ? [`${name} is getting ${running.sha.slice(0, 7)} by ${running.by}: ${running.state}`] : []),
    ...queue.map(
      ({ sha, by, state, position }) =>
        `${name}${position === null ? '' : `, number ${position} in the line`}: ${sha.slice(0, 7)} by ${by}: ${state}`,
    ),
  ];
}

function lockText(what: string, { owner, since, reason }: NonNullable<EnvironmentJson['lock']>): string {
  return `${what} is locked by ${owner} since ${when(since)}${reason && `: ${reason}`}`;
}

function cut(title: string): string {
  return title.length > 40 ? `${title.slice(0, 39).replace(/[\uD800-\uDBFF]$/, '')}…` : title;
}
