/**
 * Writes `./docs/run/settings.md` and the list of settings in `./docker-compose.yml`, or with `--check` compares them,
 * and exits with 1 if one differs: `node dist/config/printSettings.js [--check]`.
 */
import { readFile } from 'node:fs/promises';
import { writeOrCheck } from '../process/generatedFile.ts';
import { SET_BY_COMPOSE, withSettings } from './composeFile.ts';
import { SETTING_GROUPS, SETTINGS } from './config.ts';
import type { Setting } from './setting.ts';

const COMPOSE_FILE = 'docker-compose.yml';

const INTRODUCTION = `# Settings

Settings are environment variables. \`npm start\`, \`npm stop\` and every command of \`cellhouse\` read the same ones.
An empty variable counts as unset. \`npx cellhouse config check\` prints the settings in force, or every problem at once.

This page is made from the declarations in \`src/config\`. To change it, change those, then run \`npm run settings\`.
`;

const PRINTED = {
  'docs/run/settings.md': [
    INTRODUCTION,
    ...Object.entries(SETTING_GROUPS).map(section),
    compose(),
  ].join('\n'),
  [COMPOSE_FILE]: withSettings(await readFile(COMPOSE_FILE, 'utf8')),
};

for (const [file, printed] of Object.entries(PRINTED))
  await writeOrCheck(file, printed, 'npm run settings');

function section([title, settings]: [string, Readonly<Record<string, Setting<unknown>>>]): string {
  const rows = Object.values(settings).map(row);
  return `## ${title}

| variable | default | must be | meaning |
| --- | --- | --- | --- |
${rows.join('\n')}
`;
}

function row({ name, fallback, whenUnset, range, allowed, text }: Setting<unknown>): string {
  const byDefault = fallback === null ? `(${whenUnset})` : `\`${fallback}\``;
  const mustBe = range === null ? allowed : `${range.min} to ${range.max}`;
  return `| \`${name}\` | ${byDefault} | ${mustBe} | ${text} |`;
}

function compose(): string {
  const rows = Object.entries(SETTINGS).flatMap(([field, { name }]) => {
    const reason = SET_BY_COMPOSE[field as keyof typeof SETTINGS];
    return reason === undefined ? [] : [`| \`${name}\` | ${reason} |`];
  });
  return `## Under Docker Compose

\`docker-compose.yml\` passes on every setting that is set in the environment, or in a file \`.env\` beside it, except
these:

| variable | under Docker Compose |
| --- | --- |
${rows.join('\n')}
`;
}
