/** No secret of a token is in a log, a table, a metric, a file that is not made for it, or a list of processes. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { postGraphql, type TestGateway } from '../../testkit/gateway.ts';
import { runCli } from '../../testkit/runCli.ts';
import { secretsIn } from '../../testkit/sharedServer.ts';
import { tablesWithSecrets } from '../support/database.ts';
import { createInstallation, type TestInstallation } from '../support/installation.ts';

const AUTH_TOKEN = randomBytes(32).toString('base64url');
const CREATE =
  'mutation { createToken(input: { name: "a", role: TENANT }) { secret token { id } } }';

const folder = mkdtempSync(join(tmpdir(), 'ch-secrets-'));
let installation: TestInstallation;
let gateway: TestGateway;
beforeAll(async () => {
  installation = await createInstallation({
    MIN_IDLE_WORKERS: '0',
    LOG_LEVEL: 'trace',
    AUTH_TOKEN,
  });
  gateway = await installation.start();
});
afterAll(async () => {
  await installation.destroy();
  rmSync(folder, { recursive: true, force: true });
});

/** The command lines of all processes of this machine. */
function commandLines(): string {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      } catch {
        // The process has ended meanwhile.
        return '';
      }
    })
    .join('\n');
}

/** All regular files below a folder, so no sockets. */
function filesBelow(path: string): string[] {
  const found = statSync(path);
  if (!found.isDirectory()) return found.isFile() ? [path] : [];
  return readdirSync(path).flatMap((name) => filesBelow(join(path, name)));
}

/** Sends a secret in every way that a client might, right or wrong. */
async function show(secret: string): Promise<void> {
  const { url } = gateway;
  const bearer = { Authorization: `Bearer ${secret}` };
  await fetch(`${url}/metrics`, { headers: bearer });
  await fetch(`${url}/files/${secret}/a.txt`, { headers: bearer });
  await fetch(`${url}/files/ann/${secret}?token=${secret}`, { headers: bearer });
  await fetch(`${url}/${secret}?token=${secret}`);
  await fetch(`${url}/graphql?token=${secret}&query={viewer{tenant}}`, { headers: bearer });
  for (const query of ['{ viewer { tenant } }', `{ session(userUuid: "${secret}") { id } }`])
    await postGraphql(`${url}/graphql`, secret, query);
  const nonsense = 'query ($a: Int) { executions(first: $a) { pageInfo { endCursor } } }';
  await postGraphql(`${url}/graphql`, secret, nonsense, { a: secret });
  await postGraphql(`${url}/graphql`, `${secret}x`, '{ viewer { tenant } }');
}

it('no secret is in a log, a table, a metric, a file of the gateway or a list of processes', async () => {
  const { data } = await gateway.graphql<{
    createToken: { secret: string; token: { id: string } };
  }>(CREATE);
  const made = data?.createToken;
  const rotate = `mutation { rotateToken(input: { id: "${made?.token.id}", formerValidMs: 60000 }) { secret } }`;
  const rotated = (await gateway.graphql<{ rotateToken: { secret: string } }>(rotate)).data;
  const path = join(folder, 'secret');
  const running = runCli(
    ['token', 'create', '--name', 'b', '--role', 'tenant', '--output', path],
    gateway.env,
  );
  const lines = commandLines();
  const { output, code } = await running;
  expect(code).toBe(0);
  const secrets = [
    made?.secret ?? '',
    rotated?.rotateToken.secret ?? '',
    readFileSync(path, 'utf8').trim(),
  ];
  expect(new Set(secrets.flatMap((secret) => secretsIn(secret))).size).toBe(3);
  for (const secret of [...secrets, AUTH_TOKEN]) await show(secret);
  const metrics = await fetch(`${gateway.url}/metrics`, {
    headers: { 'X-Auth-Token': AUTH_TOKEN },
  });

  const own = [AUTH_TOKEN];
  expect(gateway.log()).toContain('serves http');
  expect(secretsIn(gateway.log(), own)).toEqual([]);
  expect(secretsIn(output, own)).toEqual([]);
  expect(secretsIn(await metrics.text(), own)).toEqual([]);
  expect(secretsIn(lines + commandLines(), own)).toEqual([]);
  const files = filesBelow(gateway.dataDir);
  expect(files.length).toBeGreaterThan(0);
  for (const file of files) expect(secretsIn(readFileSync(file, 'latin1'), own)).toEqual([]);
  expect(await tablesWithSecrets(installation)).toEqual([]);
  // The search itself works: it finds a secret that is put into a table.
  await installation.sql`UPDATE tokens SET name = ${secrets[0] ?? ''}`;
  expect(await tablesWithSecrets(installation)).toEqual(['tokens']);
});
