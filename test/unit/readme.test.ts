import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Config, loadConfig } from '../../src/config.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const README = readFileSync(`${ROOT}README.md`, 'utf8');
const PAGES = README + readFileSync(`${ROOT}docs/api.md`, 'utf8');
const ROOT_UID = 0;

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

  it.each(readdirSync(`${ROOT}examples`))(
    'shows examples/%s as it is, and how to run it',
    (name) => {
      expect(PAGES).toContain(`\n${readFileSync(`${ROOT}examples/${name}`, 'utf8')}\`\`\``);
      expect(PAGES).toMatch(new RegExp(`^\\w+ examples/${name}$`, 'm'));
    },
  );
});
