/** `cellhouse doors` on a real database: the tokens that it makes, and that no secret goes astray. */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { doorsArguments, runDoors } from '../../src/cli/doors.ts';
import { type OpenSecretSink, openSecretSink } from '../../src/cli/secretSink.ts';
import { loadConfig } from '../../src/config/config.ts';
import { explain } from '../../src/domain/errors.ts';
import { secretHash } from '../../src/domain/token.ts';
import { useDatabase } from '../support/database.ts';

const folder = mkdtempSync(join(tmpdir(), 'ch-doors-'));
const db = await useDatabase();
beforeAll(async () => {
  await db.open();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function run(
  line: string,
  settings: Record<string, string> = {},
  openSink: OpenSecretSink = openSecretSink,
): Promise<string> {
  const lines: string[] = [];
  const config = loadConfig({ SOCKET_DIR: '/run/x', ...settings });
  const print = (each: string) => void lines.push(each);
  const logger = pino({ level: 'silent' });
  const asked = doorsArguments(line.split(' ').filter((word) => word !== ''));
  await runDoors(asked, { config, address: db.address, logger, openSink, print });
  return lines.join('\n');
}

interface Row {
  readonly name: string;
  readonly role: string;
  readonly door: string;
  readonly userUuid: string | null;
  readonly userPrefix: string | null;
  readonly secretSha256: string;
}
const valid = () => db.sql<Row[]>`
  SELECT name, role, door, user_uuid, user_prefix, secret_sha256 FROM tokens WHERE revoked_at IS NULL ORDER BY id`;

it('makes a token for each open door, and writes the lines into a new file for its owner', async () => {
  const path = join(folder, 'lines');
  const said = await run(`--user ann --url https://code.example.com/ --output ${path}`);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const text = readFileSync(path, 'utf8');
  const rows = await valid();
  expect(rows.map(({ name, role, door, userUuid }) => [name, role, door, userUuid])).toEqual([
    ['door-mcp', 'USER', 'mcp', 'ann'],
    ['door-jupyter', 'USER', 'jupyter', 'ann'],
    ['door-e2b', 'USER', 'e2b', null],
  ]);
  expect(rows.map(({ userPrefix }) => userPrefix)).toEqual([null, null, 'ann']);
  const secrets = [...new Set(text.match(/ch_[A-Za-z0-9_-]{43}|e2b_[0-9a-f]{40}/g))];
  expect(secrets.map(secretHash)).toEqual(rows.map(({ secretSha256 }) => secretSha256));
  for (const secret of secrets) expect(said).not.toContain(secret);
  expect(text).toContain('https://code.example.com/mcp');
  expect(text).not.toContain('.com//');
});

it('leaves neither a token nor a file if it cannot make all tokens', async () => {
  const before = await valid();
  await expect(run('')).rejects.toThrow('--output FILE');
  const path = join(folder, 'none');
  await expect(run(`--door predecessor --output ${path}`)).rejects.toThrow('is closed');
  await expect(run(`--output ${path}`, { DOORS: 'none' })).rejects.toThrow('All doors are closed');
  // One more token is allowed, and three are needed.
  const limit = { MAX_TOKENS: `${before.length + 1}` };
  await expect(run(`--output ${path}`, limit)).rejects.toThrow('MAX_TOKENS');
  expect(existsSync(path)).toBe(false);
  expect([...(await valid())]).toEqual([...before]);
});

it('leaves no token if the file can neither be written nor removed', async () => {
  const before = await valid();
  const broken: OpenSecretSink = async () => ({
    write: () => Promise.reject(new Error('ENOSPC')),
    close: async () => {},
    cancel: () => Promise.reject(new Error('EIO')),
  });
  const failure = await run('', {}, broken).catch((error: AggregateError) => error);
  expect(failure).toMatchObject({
    errors: [{ message: 'ENOSPC' }, { errors: [{ message: 'EIO' }] }],
  });
  expect([...(await valid())]).toEqual([...before]);
});

it('revokes all tokens that it can, and names the one that is left', async () => {
  const before = await valid();
  const broken: OpenSecretSink = async () => ({
    write: async () => {
      await db.sql`UPDATE tokens SET id = gen_random_uuid() WHERE name = 'left-mcp'`;
      throw new Error('ENOSPC');
    },
    close: async () => {},
    cancel: async () => {},
  });
  const failure = await run('--name left', {}, broken).catch((error: AggregateError) => error);
  expect(explain(failure)).toMatch(
    /ENOSPC[\s\S]*left-mcp is left. Revoke it: cellhouse token revoke/,
  );
  const left = (await valid()).slice(before.length);
  expect(left.map(({ name }) => name)).toEqual(['left-mcp']);
});

it('says which arguments are wrong', () => {
  expect(() => doorsArguments(['--door', 'back'])).toThrow('--door must be one of');
  expect(() => doorsArguments(['--url', 'code.example.com'])).toThrow('--url must be like');
  expect(() => doorsArguments(['--expires-in', '3'])).toThrow('--expires-in must be like');
});
