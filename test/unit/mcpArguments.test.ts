import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { mcpArguments } from '../../src/cli/mcp.ts';

const folder = mkdtempSync(join(tmpdir(), 'ch-mcp-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = join(folder, 'token');
writeFileSync(file, 'ch_in_file\n');
const TOKEN = { CELLHOUSE_TOKEN: 'ch_in_environment', SOCKET_DIR: '/run/x' };

describe('mcpArguments', () => {
  it('takes the gateway from the option, else from CELLHOUSE_URL, else from HOST and PORT', () => {
    const env = { ...TOKEN, HOST: '::1', PORT: '4000' };
    expect(mcpArguments([], env).url).toBe('http://[::1]:4000');
    const named = { ...env, CELLHOUSE_URL: 'https://code.example.com/' };
    expect(mcpArguments([], named).url).toBe('https://code.example.com');
    expect(mcpArguments(['--url', 'http://other/ch/'], named).url).toBe('http://other/ch');
  });

  it('takes the token from a file that is named, else from CELLHOUSE_TOKEN', () => {
    expect(mcpArguments([], TOKEN).token).toBe('ch_in_environment');
    expect(mcpArguments(['--token-file', file], TOKEN).token).toBe('ch_in_file');
  });

  it.each([
    [[], {}, 'Set CELLHOUSE_TOKEN'],
    [['--token', 'ch_secret'], {}, 'cellhouse --help'],
    [['--token-file', join(folder, 'none')], {}, 'ENOENT'],
    [['--url', 'code.example.com'], TOKEN, '--url must be like'],
    [[], { ...TOKEN, CELLHOUSE_URL: 'ftp://a' }, 'CELLHOUSE_URL must be like'],
    [[], { ...TOKEN, CELLHOUSE_TOKEN: 'two words' }, 'characters that no token has'],
  ])('refuses %j', (words, env, message) => {
    expect(() => mcpArguments(words, { SOCKET_DIR: '/run/x', ...env })).toThrow(message);
  });
});
