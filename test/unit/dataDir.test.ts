import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { gatewayIdOf, tokenOf, tokenPath } from '../../src/process/dataDir.ts';

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'cellhouse-data-'));
});
afterEach(() => rmSync(dataDir, { recursive: true }));

describe('the token of an installation', () => {
  it('is made once, in a file that only its owner can read', () => {
    const token = tokenOf(dataDir);
    expect(token).toMatch(/^[\w-]{43}$/);
    expect(readFileSync(tokenPath(dataDir), 'utf8')).toBe(`${token}\n`);
    expect(statSync(tokenPath(dataDir)).mode & 0o777).toBe(0o600);
    expect(tokenOf(dataDir)).toBe(token);
    expect(readdirSync(dataDir)).toEqual(['auth-token']);
  });

  it('is not made a second time if its file is empty', () => {
    writeFileSync(tokenPath(dataDir), '\n');
    expect(() => tokenOf(dataDir)).toThrow('is empty. Delete it');
  });
});

it('the id of a gateway is made once; a file without one is refused', () => {
  const id = gatewayIdOf(dataDir);
  expect(gatewayIdOf(dataDir)).toBe(id);
  writeFileSync(join(dataDir, 'gateway-id'), 'no id\n');
  expect(() => gatewayIdOf(dataDir)).toThrow('does not hold a UUID');
});
