import { expect, it } from 'vitest';
import { isSignedBy, type Signed, signatureOf } from '../../src/doors/e2b/envd/files.ts';

const WRITE: Signed = {
  path: 'a/b.txt',
  operation: 'write',
  username: '',
  expiration: null,
  key: 'envdtok',
};
const EXPIRATION = '1893456000';
const READ: Signed = {
  path: '/home/user/x.csv',
  operation: 'read',
  username: 'user',
  expiration: EXPIRATION,
  key: 'tok123',
};

it("computes what E2B's SDKs compute", () => {
  expect(signatureOf(WRITE)).toBe('v1_KM98q5xakm5AwQrpk8Z1nkkc4WD7kyQItQbd1ZFaRJM');
  expect(signatureOf(READ)).toBe('v1_gHoE9M1CgN9cQ9YXwq3EvZzPQhUfhG03HEBPLQGUf5o');
});

const query = (changes: Record<string, string> = {}) =>
  new URLSearchParams({
    ...{
      path: READ.path,
      username: 'user',
      signature: signatureOf(READ),
      signature_expiration: EXPIRATION,
    },
    ...changes,
  });
const BEFORE = Number(EXPIRATION) * 1_000 - 1;

it.each<[string, boolean, string, URLSearchParams, string, number]>([
  ['the very request', true, 'GET', query(), 'tok123', BEFORE],
  ['after it has expired', false, 'GET', query(), 'tok123', BEFORE + 1],
  [
    'with another expiration',
    false,
    'GET',
    query({ signature_expiration: '1893456001' }),
    'tok123',
    BEFORE,
  ],
  [
    'with an expiration that is not a number',
    false,
    'GET',
    query({ signature_expiration: 'x' }),
    'tok123',
    BEFORE,
  ],
  ['with another path', false, 'GET', query({ path: '/home/user/y.csv' }), 'tok123', BEFORE],
  ['for another user', false, 'GET', query({ username: 'root' }), 'tok123', BEFORE],
  ['to write', false, 'POST', query(), 'tok123', BEFORE],
  ['by another key', false, 'GET', query(), 'tok124', BEFORE],
  ['with another signature', false, 'GET', query({ signature: 'v1_x' }), 'tok123', BEFORE],
])('%s: %s', (_what, expected, method, asked, key, now) => {
  expect(isSignedBy(method, asked, key, now)).toBe(expected);
});

it('a signature without path and expiration is valid for uploads whose parts name the files', () => {
  const signature = signatureOf({ ...WRITE, path: '' });
  expect(isSignedBy('POST', new URLSearchParams({ signature }), 'envdtok')).toBe(true);
});
