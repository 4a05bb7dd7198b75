/** `/files/` for the user of another tenant, or for one whom the token does not name. The workers are programmed. */
import { beforeAll, describe, expect, it } from 'vitest';
import { AUTH_TOKEN_HOLDER as OPERATOR } from '../../src/service/principal.ts';
import { useServiceGateways } from '../support/serviceGateways.ts';

const { db, start } = await useServiceGateways({ MAX_TOTAL_WORKERS: '3' });
const { service, server } = await start();
const origin = `http://127.0.0.1:${(await server.listen()).port}`;

/** A user of the other tenant, with a session, and a name of the same length that nobody has. */
const [THEIRS, NOBODY] = ['theirs', 'nobody'];
const PATHS = ['a.txt', '', '?archive=tar'];

const tokens: Record<string, string> = {};
beforeAll(async () => {
  await service.execute({ ...OPERATOR, tenant: 'other' }, { userUuid: THEIRS, code: '1' });
  const make = async (name: string, more: object) => {
    const asked = { name, role: 'TENANT', tenant: 'own', ...more } as const;
    tokens[name] = (await service.createToken(OPERATOR, asked)).secret;
  };
  await make('TENANT', {});
  await make('USER', { role: 'USER', userUuid: 'ann' });
  await make('AUDITOR', { role: 'AUDITOR' });
});

/** The answer to a request, without the name of the requested user and the date. */
async function answerTo(token: string, method: string, user: string, path: string) {
  const response = await fetch(`${origin}/files/${user}/${path}`, {
    method,
    headers: { 'X-Auth-Token': token },
    ...(method === 'PUT' && { body: 'x' }),
  });
  const headers = Object.fromEntries(response.headers);
  delete headers.date;
  const text = (await response.text()).replaceAll(user, 'NAME');
  return { status: response.status, headers, text };
}

describe.each(['TENANT', 'USER', 'AUDITOR'])('a token with the role %s', (role) => {
  it.each(['GET', 'HEAD', 'DELETE'])(
    'learns nothing of a user of another tenant by %s',
    async (method) => {
      for (const path of PATHS) {
        const asked = await answerTo(tokens[role] ?? '', method, THEIRS, path);
        expect(asked).toEqual(await answerTo(tokens[role] ?? '', method, NOBODY, path));
        expect(asked.status).toBeGreaterThanOrEqual(400);
      }
    },
  );
});

it('a token for one user writes nothing for another, and opens no session', async () => {
  const asked = await answerTo(tokens.USER ?? '', 'PUT', THEIRS, 'a.txt');
  expect(asked).toEqual(await answerTo(tokens.USER ?? '', 'PUT', NOBODY, 'a.txt'));
  expect(asked.status).toBe(404);
  expect(await db.sql`SELECT 1 FROM sessions WHERE tenant = 'own'`).toEqual([]);
});
