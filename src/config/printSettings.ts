/**
 * Writes `./docs/run/settings.md`, or with `--check` compares it and ends with 1 if it differs:
 * `node dist/config/printSettings.js [--check]`.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { SETTING_GROUPS } from './config.ts';
import type { Setting } from './setting.ts';

const FILE = 'docs/run/settings.md';

const INTRODUCTION = `# Settings

Settings are environment variables. \`npm start\`, \`npm stop\` and every command of \`cellhouse\` read the same ones.
An empty variable counts as unset. \`npx cellhouse config check\` prints the settings in force, or every problem at once.

This page is made from the declarations in \`src/config\`. To change it, change those, then run \`npm run settings\`.
`;

const printed = [INTRODUCTION, ...Object.entries(SETTING_GROUPS).map(section)].join('\n');

if (process.argv.includes('--check')) {
  if ((await readFile(FILE, 'utf8')) !== printed) {
    console.error(`${FILE} is not what the code says. Run: npm run settings`);
    process.exitCode = 1;
  }
} else {
  await writeFile(FILE, printed);
}

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
