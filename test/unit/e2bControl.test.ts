/** How the API of E2B is translated for the service: bodies, queries, networks, metrics. */
import { describe, expect, it } from 'vitest';
import { DomainError } from '../../src/domain/errors.ts';
import { metadataIn, readListQuery } from '../../src/doors/e2b/control/listSandboxes.ts';
import { metricOf } from '../../src/doors/e2b/control/metrics.ts';
import {
  egressAllowOf,
  FLAG,
  msOf,
  NETWORK,
  NEW_SANDBOX,
  readNewSandbox,
} from '../../src/doors/e2b/control/newSandbox.ts';
import {
  detailModel,
  inWordsOfE2b,
  listedModel,
  sandboxModel,
} from '../../src/doors/e2b/control/sandboxes.ts';
import { checked, optionalBody } from '../../src/doors/shared/body.ts';

const ALL = '0.0.0.0/0';
const ID = 'i0123456789abcdefghij';
const HOUR_MS = 3_600_000;
const read = (body: object) =>
  readNewSandbox(checked(body, NEW_SANDBOX), ID, { longestSessionLifeMs: HOUR_MS });

describe('a new sandbox', () => {
  it('has the defaults that the SDKs expect if they send nothing', () => {
    const environmentVariables = [
      { name: 'E2B_SANDBOX', value: 'true' },
      { name: 'E2B_SANDBOX_ID', value: ID },
      { name: 'E2B_TEMPLATE_ID', value: 'code-interpreter-v1' },
    ];
    const plain = {
      environment: null,
      metadata: {},
      environmentVariables,
      maxLifeMs: 300_000,
      idleTimeoutMs: HOUR_MS,
      egressAllow: null,
    };
    expect(read({ templateID: 'code-interpreter-v1' })).toEqual(plain);
    expect(read({ templateID: 'base' })).toEqual(plain);
    expect(read({ templateID: 'base:v2', later: { field: 1 } })).toEqual(plain);
    // The same request, as version 1 of the API and Python's SDK send it.
    expect(
      read({ templateID: 'base', secure: true, timeout: 300, allow_internet_access: true }),
    ).toEqual(plain);
    const nulls = ['metadata', 'envVars', 'timeout', 'autoPause', 'autoPauseMemory', 'autoResume'];
    const more = ['secure', 'allow_internet_access', 'network', 'iam', 'mcp', 'volumeMounts'];
    const none = Object.fromEntries([...nulls, ...more].map((name) => [name, null]));
    expect(read({ templateID: 'base', ...none })).toEqual(plain);
    const empty = { iam: { tokens: {} }, volumeMounts: [], autoResume: { enabled: false } };
    expect(read({ templateID: 'base', ...empty, autoPause: false, network: {} })).toEqual(plain);
  });

  it('has what was asked for', () => {
    const body = { metadata: { a: 'b' }, envVars: { KEY: 'v' }, timeout: 7, secure: false };
    expect(read({ templateID: 'science', ...body })).toMatchObject({
      environment: 'science',
      metadata: { a: 'b' },
      environmentVariables: [
        { name: 'KEY', value: 'v' },
        { name: 'E2B_SANDBOX', value: 'true' },
        { name: 'E2B_SANDBOX_ID', value: ID },
        { name: 'E2B_TEMPLATE_ID', value: 'science' },
      ],
      maxLifeMs: 7_000,
    });
  });

  it('sets the variables that identify the sandbox, whatever values its caller passes', () => {
    const envVars = {
      E2B_SANDBOX: 'false',
      E2B_SANDBOX_ID: 'another',
      E2B_TEMPLATE_ID: 'x',
      A: 'b',
    };
    const { environmentVariables } = read({ templateID: 'base', envVars });
    expect(
      Object.fromEntries(environmentVariables.map(({ name, value }) => [name, value])),
    ).toEqual({
      ...{ A: 'b', E2B_SANDBOX: 'true', E2B_SANDBOX_ID: ID },
      E2B_TEMPLATE_ID: 'code-interpreter-v1',
    });
    expect(environmentVariables).toHaveLength(4);
  });

  it.each<[object, string]>([
    [{ templateID: undefined }, 'templateID'],
    [{ templateID: '' }, 'templateID'],
    [{ templateID: 7 }, 'templateID'],
    [{ timeout: 0 }, 'timeout is 0 seconds'],
    [{ timeout: 3_601 }, 'from 1 to 3600'],
    [{ timeout: 1.5 }, 'whole number'],
    [{ timeout: '60' }, 'whole number'],
    [{ metadata: { a: 1 } }, 'metadata'],
    [{ metadata: [] }, 'metadata'],
    [{ envVars: { A: null } }, 'envVars'],
    [{ secure: 'yes' }, 'secure'],
    [{ autoPause: true }, 'autoPause'],
    [{ autoResume: { enabled: true } }, 'autoResume'],
    [{ mcp: { browserbase: {} } }, 'mcp'],
    [{ iam: { tokens: { a: { audience: 'b', tokenType: 'c' } } } }, 'iam'],
    [{ iam: 'x' }, 'iam'],
    [{ volumeMounts: [{ name: 'v', path: '/v' }] }, 'volumeMounts'],
    [{ allow_internet_access: 'no' }, 'allow_internet_access'],
  ])('%j is refused with a message', (wrong, message) => {
    const refusal = { code: 'BAD_USER_INPUT', message: expect.stringContaining(message) };
    expect(() => read({ templateID: 'base', ...wrong })).toThrow(expect.objectContaining(refusal));
  });
});

describe('a network', () => {
  const schema = optionalBody({ allow_internet_access: FLAG, network: NETWORK });
  const egressAllowed = (isInternetAllowed: unknown, given: unknown) => {
    const body = checked({ allow_internet_access: isInternetAllowed, network: given }, schema);
    return egressAllowOf(body.allow_internet_access, body.network);
  };

  it.each<[unknown, unknown, readonly string[] | null]>([
    [undefined, undefined, null],
    [true, null, null],
    [undefined, { allowPublicTraffic: false }, null],
    [undefined, { allowPublicTraffic: true, rules: {}, egressProxy: null }, null],
    [undefined, { allowOut: [], denyOut: [] }, null],
    [false, undefined, []],
    [undefined, { denyOut: [ALL] }, []],
    [undefined, { denyOut: [ALL], allowOut: ['pypi.org', '9.9.9.9'] }, ['pypi.org', '9.9.9.9']],
    [false, { allowOut: ['pypi.org'] }, ['pypi.org']],
    [undefined, { allowOut: [ALL] }, null],
    [false, { allowOut: [ALL], denyOut: [ALL] }, null],
  ])('%j, %j allows %j', (isInternetAllowed, network, allowed) => {
    expect(egressAllowed(isInternetAllowed, network)).toEqual(allowed);
  });

  it.each<[unknown, string]>([
    [{ denyOut: ['8.8.8.8'] }, 'network.denyOut may only be'],
    [{ denyOut: [ALL, '8.8.8.8'] }, 'network.denyOut may only be'],
    [{ allowOut: ['pypi.org'] }, 'network.allowOut without'],
    [{ allowOut: 'pypi.org' }, 'network.allowOut must be'],
    [{ rules: { 'a.org': [{}] } }, 'network.rules is not supported'],
    [{ egressProxy: { address: 'a:1' } }, 'network.egressProxy is not supported'],
    [{ maskRequestHost: 'a' }, 'network.maskRequestHost is not supported'],
    [{ httpsPorts: [8443] }, 'network.httpsPorts is not supported'],
    [{ denyEverythingButThis: 'a' }, 'network.denyEverythingButThis is not supported'],
    [{ allowPublicTraffic: 'x' }, 'network.allowPublicTraffic must be'],
    ['none', 'network must be'],
  ])('%j is refused with a message', (network, message) => {
    expect(() => egressAllowed(undefined, network)).toThrow(message);
  });
});

describe('seconds', () => {
  it('have a default, but never more than a sandbox may live', () => {
    const range = { minSeconds: 0, defaultSeconds: 300 };
    expect(msOf('timeout', undefined, { ...range, maxMs: HOUR_MS })).toBe(300_000);
    expect(msOf('timeout', null, { ...range, maxMs: 60_500 })).toBe(60_000);
    expect(msOf('timeout', 0, { ...range, maxMs: HOUR_MS })).toBe(0);
    expect(() => msOf('timeout', null, { minSeconds: 0, maxMs: HOUR_MS })).toThrow('whole number');
  });
});

describe('the query of a list', () => {
  const query = (text: string) => readListQuery(new URLSearchParams(text));

  it('filters nothing if it is empty', () => {
    const filter = { metadata: {}, from: null, environment: null, oldestFirst: false };
    const page = { first: null, after: null };
    expect(query('')).toEqual({ isOfRunning: true, filter, page });
    expect(query('metadata=&startedAfter=&order=&limit=&nextToken=&state=&template=')).toEqual(
      query(''),
    );
  });

  it('has metadata whose keys and values are encoded once more', () => {
    // An SDK sends { 'k 1': 'v&2' } like this.
    expect(query('metadata=k%2525201%3Dv%2525262').filter.metadata).toEqual({ 'k 1': 'v&2' });
    const odd = { 'a=b&c%': 'x+y z', ключ: '✓ "quoted"', '': '' };
    const encoded = Object.entries(odd).map((pair) => pair.map(encodeURIComponent));
    expect(metadataIn(String(new URLSearchParams(encoded)))).toEqual(odd);
    expect(() => metadataIn('a=%25')).toThrow('metadata');
  });

  it('has states, an order, a time, a template and a page', () => {
    expect(query('state=running%2Cpaused').isOfRunning).toBe(true);
    expect(query('state=paused').isOfRunning).toBe(false);
    expect(query('state=paused&state=running').isOfRunning).toBe(true);
    expect(query('order=asc').filter.oldestFirst).toBe(true);
    expect(query('order=desc').filter.oldestFirst).toBe(false);
    const from = new Date('2026-01-02T03:04:05.678Z');
    expect(query('startedAfter=2026-01-02T03%3A04%3A05.678Z').filter.from).toEqual(from);
    expect(query('template=base').filter.environment).toEqual({ name: null });
    expect(query('template=science').filter.environment).toEqual({ name: 'science' });
    expect(query('limit=7&nextToken=abc').page).toEqual({ first: 7, after: 'abc' });
  });

  it.each([
    ['state=stopped', 'state'],
    ['order=up', 'order'],
    ['startedAfter=soon', 'startedAfter'],
    ['limit=many', 'limit'],
    ['limit=-1', 'limit'],
  ])('%s is refused', (text, message) => {
    expect(() => query(text)).toThrow(message);
  });
});

describe('a sandbox', () => {
  const openedAt = new Date('2026-01-02T03:04:05.678Z');
  const endAt = new Date('2026-01-02T03:09:05.678Z');
  const limits = { cpus: 1.5, memoryMb: 512, diskMb: 256, pids: 9 };
  const session = { environment: null, openedAt, metadata: { a: 'b' }, egressAllow: null };
  const which = {
    ...{ templateID: 'code-interpreter-v1', sandboxID: ID },
    ...{ clientID: 'cellhouse', envdVersion: '0.5.7' },
  };
  const listed = {
    ...which,
    ...{ startedAt: '2026-01-02T03:04:05.678Z', endAt: '2026-01-02T03:09:05.678Z' },
    ...{ state: 'running', cpuCount: 2, memoryMB: 512, diskSizeMB: 256, metadata: { a: 'b' } },
  };
  const facts = { sandboxId: ID, endAt, limits };

  it('has one key under both names', () => {
    const keys = { envdAccessToken: 'key', trafficAccessToken: 'key' };
    expect(sandboxModel(session, ID, 'key')).toEqual({ ...which, ...keys, domain: null });
  });

  it('is listed with its times and limits', () => {
    expect(listedModel(session, facts)).toEqual(listed);
  });

  it('is described with the hosts that it may reach, if these were limited', () => {
    const lifecycle = { onTimeout: 'kill', autoResume: false };
    const all = { ...listed, domain: null, lifecycle };
    expect(detailModel(session, facts, 'key')).toEqual({ ...all, envdAccessToken: 'key' });
    expect(detailModel({ ...session, egressAllow: [] }, facts, null)).toEqual({
      ...all,
      network: { allowOut: [], denyOut: [ALL] },
      allowInternetAccess: false,
    });
    expect(detailModel({ ...session, egressAllow: ['pypi.org'] }, facts, null)).toEqual({
      ...all,
      network: { allowOut: ['pypi.org'], denyOut: [ALL] },
    });
  });
});

describe('a metric', () => {
  const usage = {
    ...{ clockMs: 1_000, cpuMs: 50, memoryBytes: 1, memoryLimitBytes: 2 },
    ...{ cacheBytes: 3, diskBytes: 4, diskLimitBytes: 5, oomKills: 0 },
  };
  const at = new Date('2026-01-02T03:04:05.678Z');

  it('has the CPU time between two readings, as a percentage of what the sandbox may use', () => {
    const last = { ...usage, clockMs: 1_200, cpuMs: 150 };
    expect(metricOf(usage, last, { at, cpus: 0.5 })).toEqual({
      ...{ timestamp: '2026-01-02T03:04:05.678Z', timestampUnix: 1_767_323_045 },
      ...{ cpuCount: 1, cpuUsedPct: 100 },
      ...{ memUsed: 1, memTotal: 2, memCache: 3, diskUsed: 4, diskTotal: 5 },
    });
    expect(metricOf(usage, last, { at, cpus: 2 })).toMatchObject({ cpuCount: 2, cpuUsedPct: 25 });
    expect(metricOf(last, usage, { at, cpus: 2 })).toMatchObject({ cpuUsedPct: 0 });
  });
});

describe('a refusal of the service', () => {
  it('names the field as the API does', () => {
    const details = { field: 'environmentVariables', limit: 1 };
    const refused = new DomainError('BAD_USER_INPUT', 'environmentVariables has 2 items.', details);
    expect(inWordsOfE2b(refused)).toMatchObject({
      code: 'BAD_USER_INPUT',
      message: 'envVars has 2 items.',
      details: { field: 'envVars', limit: 1 },
    });
    const other = new DomainError('BAD_USER_INPUT', 'metadata is wrong.', { field: 'metadata' });
    expect(inWordsOfE2b(other)).toBe(other);
    const error = new Error('x');
    expect(inWordsOfE2b(error)).toBe(error);
  });
});
