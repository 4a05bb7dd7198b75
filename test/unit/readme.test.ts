import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { loadConfig, SETTINGS } from '../../src/config/config.ts';

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

/** The rows of the README's table of settings. */
function documentedSettings() {
  const section = README.split('\n## Settings\n')[1]?.split('\n## ')[0] ?? '';
  const rows = section.matchAll(/^\| `([A-Z_]+)` +\| (`[^`]+`|\([^|]+\)) +\| ([^|]+?) +\|$/gm);
  return [...rows].map(([, name = '', fallback = '', text = '']) => ({ name, fallback, text }));
}

describe('the README, or docs/api.md,', () => {
  it('lists every setting, with its default and what it does', () => {
    const declared = Object.values(SETTINGS).map(({ name, fallback, whenUnset, text }) => ({
      name,
      fallback: fallback === null ? `(${whenUnset})` : `\`${fallback}\``,
      text,
    }));
    expect(documentedSettings()).toEqual(declared);
  });

  it('names the defaults that are in force', () => {
    const config = loadConfig({}, ROOT_UID);
    const named = Object.values(SETTINGS).flatMap(({ name, fallback }) =>
      fallback === null ? [] : [[name, fallback]],
    );
    expect(named.length).toBeGreaterThan(30);
    expect(loadConfig(Object.fromEntries(named), ROOT_UID)).toEqual(config);
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
