/** How a repeated request is compared with what is stored about the first one. */

import { beforeEach, expect, it } from 'vitest';
import { type Comparable, type RequestFacts, requestFacts } from '../../src/domain/requestFacts.ts';
import { createRequestHashes, type RequestHashes } from '../../src/service/execute/requestHash.ts';
import { fc } from '../support/seeded.ts';

const KEY = { tenant: 'default', userUuid: 'ann', key: 'k' };

let hashes: RequestHashes;
beforeEach(async () => {
  hashes = await gateway('a secret of all gateways');
});

async function gateway(secret: string): Promise<RequestHashes> {
  const made = createRequestHashes({ sharedSecret: async () => secret });
  await made.load();
  return made;
}

/** The facts of a later release, which has more fields. */
const later = (more: Readonly<Record<string, string>>) => ({ code: '1', ...more });

it('all gateways find the same requests equal, and different code different', async () => {
  const other = await gateway('a secret of all gateways');
  const code = fc.string({ unit: 'binary', minLength: 1 });
  fc.assert(
    fc.property(code, code, (first, second) => {
      const hash = hashes.of(KEY, { code: first });
      const expected = first === second ? [] : ['code'];
      expect(other.differences(KEY, { code: second }, hash)).toEqual(expected);
    }),
  );
  const hash = hashes.of(KEY, { code: '"\ud800"' });
  expect(other.differences(KEY, { code: '"\ud801"' }, hash)).toEqual(['code']);
});

it('each field that only one request has, or whose value differs, is named', () => {
  const hash = hashes.of(KEY, later({ language: 'BASH', directory: '/tmp' }));
  const compare = (facts: RequestFacts) => hashes.differences(KEY, facts, hash);
  expect(compare(later({ directory: '/tmp', language: 'BASH' }))).toEqual([]);
  expect(compare(later({}))).toEqual(['directory', 'language']);
  expect(compare(later({ language: 'PERL', directory: '/tmp', more: '' }))).toEqual([
    'language',
    'more',
  ]);
});

const PLAIN: Comparable = {
  code: '1',
  contextId: null,
  language: 'PYTHON',
  keepAlive: false,
  stopOnError: false,
  label: null,
  silent: false,
  storeHistory: true,
  userExpressions: [],
  workingDirectory: null,
  environmentVariables: {},
  allowInput: false,
  pty: null,
};

it('the context is compared if the request names one, and of a plain request only the code is hashed', () => {
  expect(requestFacts(PLAIN)).toEqual({ code: '1' });
  const [one, other] = ['c', 'd'].map((contextId) => requestFacts({ ...PLAIN, contextId }));
  const hash = hashes.of(KEY, one ?? later({}));
  const compare = (facts: RequestFacts) => hashes.differences(KEY, facts, hash);
  expect(compare(one ?? later({}))).toEqual([]);
  expect(compare(other ?? later({}))).toEqual(['contextId']);
  expect(compare(requestFacts(PLAIN))).toEqual(['contextId']);
});

it('a command is compared by its language, and by whether it keeps its session alive', () => {
  const command = requestFacts({ ...PLAIN, language: 'BASH', keepAlive: true });
  const hash = hashes.of(KEY, command);
  const compare = (facts: RequestFacts) => hashes.differences(KEY, facts, hash);
  expect(compare(command)).toEqual([]);
  expect(compare(requestFacts({ ...PLAIN, language: 'BASH' }))).toEqual(['keepAlive']);
  expect(compare(requestFacts(PLAIN))).toEqual(['keepAlive', 'language']);
});

it('the options of a cell and each expression are compared, and a difference is named without code', () => {
  const userExpressions = [{ name: 'a', code: 'x' }];
  const given = { ...PLAIN, silent: true, storeHistory: false, userExpressions };
  const hash = hashes.of(KEY, requestFacts(given));
  const compare = (more: Partial<Comparable>) =>
    hashes.differences(KEY, requestFacts({ ...given, ...more }), hash);
  expect(compare({})).toEqual([]);
  // A silent cell is never stored in the history, so `storeHistory` makes no difference.
  expect(compare({ storeHistory: true })).toEqual([]);
  expect(compare({ silent: false })).toEqual(['silent', 'storeHistory']);
  expect(compare({ userExpressions: [{ name: 'a', code: 'y' }] })).toEqual(['userExpressions.a']);
  expect(compare({ userExpressions: [] })).toEqual(['userExpressions.a']);
});

it('the label of a command is compared', () => {
  const hash = hashes.of(KEY, requestFacts({ ...PLAIN, label: 'a' }));
  const compare = (label: string | null) =>
    hashes.differences(KEY, requestFacts({ ...PLAIN, label }), hash);
  expect([compare('a'), compare('b'), compare(null)]).toEqual([[], ['label'], ['label']]);
});

it('a request that stops others is not the same as one that does not', () => {
  const hash = hashes.of(KEY, requestFacts({ ...PLAIN, stopOnError: true }));
  const compare = (facts: RequestFacts) => hashes.differences(KEY, facts, hash);
  expect(compare(requestFacts({ ...PLAIN, stopOnError: true }))).toEqual([]);
  expect(compare(requestFacts(PLAIN))).toEqual(['stopOnError']);
});

it('the folder and each variable are compared, and a difference is named without a value', () => {
  const variables = { A: '1', B: '2' };
  const given = { ...PLAIN, workingDirectory: '/w', environmentVariables: variables };
  const hash = hashes.of(KEY, requestFacts(given));
  const compare = (more: Partial<Comparable>) =>
    hashes.differences(KEY, requestFacts({ ...given, ...more }), hash);
  expect(compare({ environmentVariables: { B: '2', A: '1' } })).toEqual([]);
  expect(compare({ workingDirectory: null })).toEqual(['workingDirectory']);
  expect(compare({ environmentVariables: { A: '1', B: '1', C: '' } })).toEqual([
    'environmentVariables.B',
    'environmentVariables.C',
  ]);
  expect(compare({ environmentVariables: {} })).toEqual([
    'environmentVariables.A',
    'environmentVariables.B',
  ]);
});

it('whether a request allows input is compared, and the size of its terminal', () => {
  const pty = { columns: 80, rows: 24 };
  const terminal = requestFacts({ ...PLAIN, language: 'BASH', allowInput: true, pty });
  const hash = hashes.of(KEY, terminal);
  const compare = (more: Partial<Comparable>) =>
    hashes.differences(KEY, requestFacts({ ...PLAIN, language: 'BASH', ...more }), hash);
  expect(compare({ allowInput: true, pty })).toEqual([]);
  expect(compare({ allowInput: true, pty: { columns: 81, rows: 24 } })).toEqual(['pty']);
  expect(compare({})).toEqual(['allowInput', 'pty']);
});

it('the same value has another hash under another key, tenant or user, in another field and with another secret', async () => {
  const others = [
    hashes.of({ ...KEY, key: 'other' }, { code: 'same' }),
    hashes.of({ ...KEY, tenant: 'other' }, { code: 'same' }),
    hashes.of({ ...KEY, userUuid: 'other' }, { code: 'same' }),
    (await gateway('another secret')).of(KEY, { code: 'same' }),
    hashes.of(KEY, { code: 'same' }),
  ];
  expect(new Set(others).size).toBe(others.length);
  const { a, b } = JSON.parse(hashes.of(KEY, later({ a: 'same', b: 'same' })).slice(3));
  expect(a).not.toBe(b);
});

it('a hash of an unknown version cannot be compared', () => {
  const compare = () => hashes.differences(KEY, { code: '1' }, 'v2:{}');
  expect(compare).toThrow('in a way unknown to this one');
});
