import type { IncomingMessage } from 'node:http';
import { expect, it } from 'vitest';
import {
  isSandboxId,
  newSandboxId,
  SANDBOX_NAMES,
  sandboxIdIn,
  surfaceOf,
  userOf,
} from '../../src/doors/e2b/sandbox.ts';
import { AUTH_TOKEN_HOLDER, type Principal } from '../../src/service/principal.ts';

const ID = 'i0123456789abcdefghij';

it.each<[string, string, Record<string, string>, string]>([
  ['/v2/sandboxes', '', {}, 'control'],
  ['/sandboxes/x/connect', '', {}, 'control'],
  ['/executed', '', {}, 'control'],
  ['/execute', '', {}, 'no-sandbox'],
  ['/files', 'path=a', {}, 'no-sandbox'],
  ['/files', 'path=a&signature=x', {}, 'signed'],
  ['/execute', '', { 'e2b-sandbox-id': ID, 'e2b-sandbox-port': '49999' }, 'interpreter'],
  ['/contexts/a/restart', '', { 'e2b-sandbox-id': ID, 'e2b-sandbox-port': '49999' }, 'interpreter'],
  ['/health', '', { 'e2b-sandbox-id': ID, 'e2b-sandbox-port': '49983' }, 'envd'],
  ['/process.Process/Start', '', { 'e2b-sandbox-id': ID }, 'envd'],
  ['/health', '', { 'e2b-sandbox-id': ID, 'e2b-sandbox-port': '8080' }, 'no-port'],
])('%s?%s is served by the right API', (path, query, headers, type) => {
  const req = { headers } as unknown as IncomingMessage;
  expect(surfaceOf({ req, path, query: new URLSearchParams(query) }).type).toBe(type);
});

it('ids are of the alphabet of E2B, and no two are the same', () => {
  const ids = Array.from({ length: 1_000 }, newSandboxId);
  expect(ids.every(isSandboxId)).toBe(true);
  expect(new Set(ids).size).toBe(ids.length);
  const letters = new Set(ids.flatMap((id) => [...id.slice(1)]));
  expect(letters.size).toBe(36);
});

const holder: Principal = {
  ...AUTH_TOKEN_HOLDER,
  ...{ tokenId: 'the-token', role: 'TENANT', door: 'e2b' },
};

it('the user of a session names its sandbox and the holder of the token', () => {
  const own = userOf(holder, ID);
  expect(sandboxIdIn(own)).toBe(ID);
  expect(SANDBOX_NAMES.prefixIn(own)).toBe(SANDBOX_NAMES.prefixOf(holder));
  const other = userOf({ ...holder, tokenId: 'another' }, ID);
  expect(other).not.toBe(own);
  const ofPrefix = userOf({ ...holder, role: 'USER', users: { prefix: 'a:e2b:b' } }, ID);
  expect([sandboxIdIn(ofPrefix), SANDBOX_NAMES.prefixIn(ofPrefix)]).toEqual([ID, 'a:e2b:b:e2b:']);
});

it.each(['ann', 'the-token:mcp:x', `the-token:e2b:${ID}x`, ID, ''])(
  '%j is the user of no sandbox',
  (userUuid) => {
    expect(sandboxIdIn(userUuid)).toBeNull();
  },
);
