import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Config, loadConfig } from '../../src/config/config.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const README = readFileSync(`${ROOT}README.md`, 'utf8');
const PAGES = README + readFileSync(`${ROOT}docs/api.md`, 'utf8');
const EXAMPLES = `${ROOT}examples/`;
const ROOT_UID = 0;

/** How a printed command begins -> what runs it. */
const RUN_BY = [
  ['npm start\n', 'test/e2e/readme.test.ts'],
  ['npm stop\n', 'test/e2e/readme.test.ts'],
  ['npm test\n', '.ci/run'],
  ['sh examples/', 'test/e2e/examples.test.ts'],
  ['node examples/', 'test/e2e/examples.test.ts'],
  ['python3 examples/notebook.py', 'test/e2e/notebook.test.ts'],
  ['python3 examples/', 'test/e2e/examples.test.ts'],
  ['printf ', 'test/e2e/apiDoc.test.ts'],
  ['docker compose ', 'test/e2e/compose.test.ts'],
  ['export DATABASE_URL=', 'test/e2e/gateways.test.ts'],
  ['node scripts/setup-runsc.mjs\n', 'test/e2e/setupRunsc.test.ts'],
] as const;

/** Variable -> default, as the README's table of settings has them; null: none, what happens then is said in brackets. */
function documentedSettings(): Map<string, string | null> {
  const section = README.split('\n## Settings\n')[1]?.split('\n## ')[0] ?? '';
  const rows = section.matchAll(/^\| `([A-Z_]+)` +\| (?:`([^`]+)`|\([^|]+\)) +\|/gm);
  return new Map([...rows].map(([, name = '', value]) => [name, value ?? null]));
}

/** The variable behind a field of the configuration. */
function variableOf(field: string): string {
  if (field === 'dockerSocketPath') return 'DOCKER_HOST';
  return field.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}

/** A documented default as the configuration holds it. */
function defaultOf(field: string, text: string | null): Config[keyof Config] {
  if (field === 'corsOrigins') return [];
  if (text === null) return null;
  if (field === 'dataDir') return resolve(text);
  if (field === 'dockerSocketPath') return text.replace('unix://', '');
  return /^\d+$/.test(text) ? Number(text) : text;
}

describe('the README, or docs/api.md,', () => {
  it('lists every setting with the default that it has', () => {
    const settings = documentedSettings();
    const config = loadConfig({}, ROOT_UID);
    const fields = Object.keys(config);
    expect([...settings.keys()].toSorted()).toEqual(fields.map(variableOf).toSorted());
    const documented = fields.map((field) => [
      field,
      defaultOf(field, settings.get(variableOf(field)) ?? null),
    ]);
    expect(Object.fromEntries(documented)).toEqual(config);
  });

  it.each(readdirSync(EXAMPLES))('says how to run examples/%s', (name) => {
    const lines = fences('sh').flatMap((snippet) => snippet.split('\n'));
    expect(lines.some((line) => line.split(' ').includes(`examples/${name}`))).toBe(true);
  });

  it('prints programs that are examples, as they are', () => {
    const examples = readdirSync(EXAMPLES).map((name) => readFileSync(EXAMPLES + name, 'utf8'));
    const programs = [...fences('js'), ...fences('python'), ...fences('sh').filter(isScript)];
    expect(programs.length).toBeGreaterThanOrEqual(5);
    for (const program of programs) expect(examples).toContain(program);
  });

  it('prints no command that no test runs', () => {
    const commands = fences('sh').filter((snippet) => !isScript(snippet));
    expect(commands.length).toBeGreaterThan(10);
    for (const command of commands) {
      const runner = RUN_BY.find(([start]) => command.startsWith(start))?.[1];
      expect(runner, `what runs ${command}`).toBeDefined();
      expect(existsSync(`${ROOT}${runner}`)).toBe(true);
    }
  });
});

/** The contents of the fences in a language. */
function fences(language: string): string[] {
  const found = PAGES.matchAll(new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\`$`, 'gm'));
  return [...found].map(([, text = '']) => text);
}

function isScript(snippet: string): boolean {
  return snippet.startsWith('#!');
}
