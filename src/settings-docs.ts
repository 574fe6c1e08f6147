import { type SettingName, settingsTable } from './settings.ts';

const groups = [
  'GitHub App',
  'Server',
  'Secrets',
  'Docker and jobs',
  'Deployments',
  'Reliability',
  'Cleaning',
] as const;

interface Row {
  readonly name: string;
  readonly default: string;
  readonly help: string;
  readonly example: string | undefined;
  readonly secret: boolean;
}

function rowsOf(group: (typeof groups)[number]): readonly Row[] {
  return (Object.keys(settingsTable) as SettingName[])
    .map((name) => ({ name, setting: settingsTable[name] }))
    .filter(({ setting }) => setting.group === group)
    .map(({ name, setting }) => ({
      name,
      default: setting.default,
      help: setting.help,
      example: setting.example,
      secret: setting.secret === true,
    }));
}

/** docs/settings.md, in Markdown. */
export function settingsPage(): string {
  const parts = groups.map((group) => {
    const rows = rowsOf(group).map(
      (r) => `| \`${r.name}\` | ${r.help}${r.secret ? ' **Secret.**' : ''} | ${r.default} |`,
    );
    return `## ${group}\n\n| Variable | What it is for | Default |\n| --- | --- | --- |\n${rows.join('\n')}\n`;
  });
  return `# Settings

Each setting is an environment variable; \`npm start\` also reads a file \`.env\` in the folder it is started in
([.env.example](../.env.example) is one to copy). An empty variable counts as missing. A setting that is wrong stops the
start with one sentence that names it. A variable that begins with \`SLIPWAY_\` and is none of these is ignored, with a warning
in the log that guesses which was meant. Registries, clusters and what each repository may touch are in the
[operator's file](operator.md).

This page is derived from \`src/settings.ts\` by \`npm run derive\`.

${parts.join('\n')}`;
}

/** .env.example: every setting with its help, as a comment. */
export function envExample(): string {
  const parts = groups.map((group) => {
    const rows = rowsOf(group).map((r) => `# ${r.help}\n# Default: ${r.default}\n#${r.name}=${r.example ?? ''}\n`);
    return `# ---- ${group} ----\n\n${rows.join('\n')}`;
  });
  return `# Copy to .env and fill in what you need. All settings: docs/settings.md\n\n${parts.join('\n')}`;
}
