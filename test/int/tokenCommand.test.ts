/**
 * `cellhouse token` on a real database: what it makes, shows and writes, and that it makes no token whose secret is
 * lost.
 */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type OpenSecretSink, openSecretSink } from '../../src/cli/secretSink.ts';
import { runToken, tokenArguments } from '../../src/cli/token.ts';
import { loadConfig } from '../../src/config/config.ts';
import { secretHash } from '../../src/domain/token.ts';
import { useDatabase } from '../support/database.ts';

const folder = mkdtempSync(join(tmpdir(), 'ch-token-'));
const db = await useDatabase();
beforeAll(async () => {
  await db.open();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const config = loadConfig({ SOCKET_DIR: '/run/x' });
const logger = pino({ level: 'silent' });
async function run(line: string, openSink: OpenSecretSink = openSecretSink): Promise<string> {
  const lines: string[] = [];
  const print = (each: string) => void lines.push(each);
  const asked = tokenArguments(line.split(' '));
  await runToken(asked, { config, address: db.address, logger, openSink, print });
  return lines.join('\n');
}
const rows = () =>
  db.sql<{ id: string; name: string; secretSha256: string; revokedAt: Date | null }[]>`
    SELECT id, name, secret_sha256, revoked_at FROM tokens ORDER BY id`;

it('`create` makes a token whose secret is in a new file that only its owner can read', async () => {
  const path = join(folder, 'first');
  const said = await run(
    `create --name first --role user --user ann --expires-in 30d --output ${path}`,
  );
  const secret = readFileSync(path, 'utf8').trim();
  expect(secret).toMatch(/^ch_[A-Za-z0-9_-]{43}$/);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const [token] = await rows();
  expect(token).toMatchObject({ name: 'first', secretSha256: secretHash(secret) });
  expect(said).toContain(token?.id);
  expect(said).not.toContain(secret);
  const [actor] = await db.sql`
    SELECT actor_token, actor_door FROM audit.tokens WHERE token_id = ${token?.id ?? ''}`;
  expect(actor).toEqual({ actorToken: 'cli', actorDoor: 'cli' });
});

it('`create` makes nothing if the secret can be written neither to a terminal nor to a new file', async () => {
  const before = await rows();
  await expect(run('create --name b --role operator')).rejects.toThrow('--output FILE');
  const taken = join(folder, 'taken');
  writeFileSync(taken, 'mine');
  await expect(run(`create --name b --role operator --output ${taken}`)).rejects.toThrow('EEXIST');
  expect(readFileSync(taken, 'utf8')).toBe('mine');
  const bad = join(folder, 'bad');
  await expect(run(`create --name b --role user --output ${bad}`)).rejects.toThrow('userPrefix');
  expect(() => statSync(bad)).toThrow('ENOENT');
  expect([...(await rows())]).toEqual([...before]);
});

it('shows the secret on a terminal', async () => {
  const written: string[] = [];
  const write = (text: unknown) => written.push(String(text)) > 0;
  const terminal = { isTTY: true, write } as unknown as NodeJS.WriteStream;
  const sink = await openSecretSink(null, terminal);
  await sink.write('ch_x');
  expect(written).toEqual([]);
  await sink.close();
  expect(written).toEqual(['ch_x\n']);
});

it('`rotate` gives the named token a secret in the requested shape', async () => {
  const path = join(folder, 'second');
  await run(`rotate first --shape e2b --output ${path}`);
  const secret = readFileSync(path, 'utf8').trim();
  expect(secret).toMatch(/^e2b_[0-9a-f]{40}$/);
  expect((await rows())[0]?.secretSha256).toBe(secretHash(secret));
});

it('changes nothing if the disk is full', async () => {
  const before = await rows();
  const path = join(folder, 'full');
  const openFull: OpenSecretSink = async (file) => ({
    ...(await openSecretSink(file)),
    write: () => Promise.reject(new Error('ENOSPC')),
  });
  for (const line of ['rotate first', 'create --name c --role operator'])
    await expect(run(`${line} --output ${path}`, openFull)).rejects.toThrow(
      'The secret could not be written, so no token was made or changed.',
    );
  expect(() => statSync(path)).toThrow('ENOENT');
  expect([...(await rows())]).toEqual([...before]);
});

it('lists tokens without secrets and hashes', async () => {
  const [token] = await rows();
  const text = await run('list');
  const json = JSON.parse(await run('list --json')) as Record<string, unknown>;
  expect(text).toMatch(
    new RegExp(`^ID .*\n${token?.id} +first +USER +default +ann +\\* +never +valid until`),
  );
  expect(json).toMatchObject({ id: token?.id, role: 'USER', userUuid: 'ann', lastUsedAt: null });
  for (const shown of [text, JSON.stringify(json)])
    expect(shown).not.toContain(token?.secretSha256);
});

it('revokes a token by its name, if only one has it', async () => {
  for (const file of ['x', 'y'])
    await run(`create --name twice --role tenant --output ${join(folder, file)}`);
  await expect(run('revoke twice')).rejects.toThrow('2 unrevoked tokens are called twice');
  await expect(run('revoke nobody')).rejects.toThrow('no valid token nobody');
  expect(await run('revoke first')).toMatch(/^Revoked first \(/);
  const twice = (await rows()).filter(({ name }) => name === 'twice');
  await run(`revoke ${twice[0]?.id}`);
  await run('revoke twice');
  expect((await rows()).every(({ revokedAt }) => revokedAt !== null)).toBe(true);
});
