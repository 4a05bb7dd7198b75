import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { loadConfig, SETTINGS } from '../../src/config/config.ts';

const PAGE = readFileSync(new URL('../../docs/run/settings.md', import.meta.url), 'utf8');
const ROOT_UID = 0;

/** The rows of all tables of settings. */
function documentedSettings() {
  const rows = PAGE.matchAll(/^\| `([A-Z_]+)` \| (`[^`]+`|\([^|]+\)) \| ([^|]+) \| ([^|]+) \|$/gm);
  return [...rows].map(([, name, fallback, allowed, text]) => ({ name, fallback, allowed, text }));
}

describe('docs/run/settings.md', () => {
  it('lists every setting, with its default, what is allowed, and what it does', () => {
    const declared = Object.values(SETTINGS).map((setting) => {
      const { name, fallback, whenUnset, range, allowed, text } = setting;
      return {
        name,
        fallback: fallback === null ? `(${whenUnset})` : `\`${fallback}\``,
        allowed: range === null ? allowed : `${range.min} to ${range.max}`,
        text,
      };
    });
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
});
