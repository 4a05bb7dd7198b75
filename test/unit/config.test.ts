import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ConfigError, loadConfig, loadServeConfig, SETTINGS } from '../../src/config/config.ts';

const ROOT_UID = 0;
const USER_UID = 1000;

function problemsOf(env: Record<string, string>, uid = ROOT_UID): readonly string[] {
  try {
    loadConfig(env, uid);
    return [];
  } catch (error: unknown) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

describe('the configuration', () => {
  it('has the documented defaults', () => {
    expect(loadConfig({}, ROOT_UID)).toEqual({
      host: '127.0.0.1',
      port: 3874,
      dataDir: resolve('.cellhouse'),
      authToken: null,
      databaseUrl: null,
      dockerSocketPath: '/var/run/docker.sock',
      dockerRuntime: 'runc',
      socketDir: '/run/cellhouse',
      logLevel: 'info',
      maxTokens: 10_000,
      authFailuresPerMinute: 30,
      doors: ['mcp', 'jupyter', 'e2b'],
      allowedHosts: null,
      trustedProxies: [],
      auditorSeesCode: false,
      workerImage: null,
      minIdleWorkers: 2,
      minIdleEnvironmentWorkers: 1,
      maxTotalWorkers: 30,
      workerMemoryMb: 512,
      workerCpus: 1,
      workerPids: 128,
      workerDiskMb: 256,
      workerWaitTimeoutMs: 60_000,
      tenantWeights: new Map(),
      workerOrphanTimeoutMs: 900_000,
      buildNetwork: 'bridge',
      environmentBuildTimeoutMs: 1_800_000,
      environmentMaxMb: 4_096,
      environmentBuildMemoryMb: 2_048,
      environmentBuildCpus: 1,
      sessionIdleTimeoutMs: 3_600_000,
      sessionMaxLifeMs: 86_400_000,
      longestSessionLifeMs: 604_800_000,
      maxSessionMetadataKeys: 64,
      maxSessionMetadataBytes: 16_384,
      maxEnvironmentVariables: 128,
      maxEnvironmentNameBytes: 256,
      maxEnvironmentBytes: 65_536,
      executionTimeoutMs: 10_000,
      maxExecutionTimeoutMs: 300_000,
      maxCommandTimeoutMs: 86_400_000,
      interruptGraceMs: 1_000,
      maxQueuedExecutions: 64,
      maxCommands: 16,
      maxContexts: 8,
      maxInputBytes: 16_777_216,
      idempotencyTtlMs: 86_400_000,
      maxCodeBytes: 1_048_576,
      maxBodyBytes: 8_388_608,
      maxOutputBytes: 33_554_432,
      maxResponseBytes: 134_217_728,
      replayBufferBytes: 33_554_432,
      slowReaderTimeoutMs: 30_000,
      maxFileBytes: 1_073_741_824,
      maxFileTextBytes: 1_048_576,
      maxFileTransfers: 256,
      egressAllow: [],
      tenantEgressAllow: new Map(),
      egressDns: [],
      egressMaxConnections: 64,
      pipIndexUrl: null,
      egressMaxTotalConnections: 1_024,
      egressMaxTenantConnections: null,
      egressConnectTimeoutMs: 10_000,
      egressIdleTimeoutMs: 300_000,
      quotaTenantOpenSessions: null,
      quotaTenantQueuedExecutions: null,
      quotaTenantRunningExecutions: null,
      quotaTenantExecutionsPerMinute: null,
      quotaTenantCpuSecondsPerDay: null,
      quotaTenantOutputBytesPerDay: null,
      quotaTenantStoredBytes: null,
      quotaUserOpenSessions: null,
      quotaUserQueuedExecutions: null,
      quotaUserRunningExecutions: null,
      quotaUserExecutionsPerMinute: null,
      quotaUserCpuSecondsPerDay: null,
      quotaUserOutputBytesPerDay: null,
      quotaUserStoredBytes: null,
      maxQueryDepth: 12,
      maxQueryAliases: 30,
      maxQueryDirectives: 50,
      maxQueryTokens: 5_000,
      maxQueryCost: 100_000,
      introspection: 'on',
      corsOrigins: [],
    });
  });

  it('takes an empty variable for an unset one', () => {
    expect(loadConfig({ PORT: '', DATABASE_URL: '' }, ROOT_UID)).toEqual(loadConfig({}, ROOT_UID));
  });

  it('reports every problem at once, with name, value and what is allowed', () => {
    const problems = problemsOf({
      PORT: '70000',
      MIN_IDLE_WORKERS: '-1',
      WORKER_CPUS: '1.5',
      EXECUTION_TIMEOUT_MS: 'ten',
      LOG_LEVEL: 'loud',
      DOCKER_HOST: 'tcp://127.0.0.1:2375',
      DATABASE_URL: 'mysql://root:hunter2@db/x',
      HOST: 'http://127.0.0.1',
    });
    expect(problems).toHaveLength(8);
    expect(problems).toContain(
      'PORT is "70000", but must be a whole number from 0 to 65535 (default 3874).',
    );
    for (const name of ['MIN_IDLE_WORKERS is "-1"', 'WORKER_CPUS is "1.5"', 'LOG_LEVEL is "loud"'])
      expect(problems.some((problem) => problem.startsWith(name))).toBe(true);
  });

  it('reads the weights of tenants, each named once', () => {
    const weights = (text: string) => loadConfig({ TENANT_WEIGHTS: text }, ROOT_UID).tenantWeights;
    expect([...weights('a=2, b.c-d_e=1000')]).toEqual([
      ['a', 2],
      ['b.c-d_e', 1000],
    ]);
    for (const text of ['a', 'a=0', 'a=1001', 'a=1.5', 'a=1,a=2', 'a=1,', '=1', 'a b=1', 'a=1=2'])
      expect(problemsOf({ TENANT_WEIGHTS: text })).toEqual([
        expect.stringContaining('pairs of a tenant and a whole number'),
      ]);
  });

  it('reads which hosts code may reach, and which of them the code of a tenant may reach', () => {
    const allowed = 'pypi.org, *.Example.org:8443 10.0.0.5:8080';
    const { egressAllow, tenantEgressAllow } = loadConfig(
      { EGRESS_ALLOW: allowed, TENANT_EGRESS_ALLOW: 'a=pypi.org:443 10.0.0.5:8080,b=' },
      ROOT_UID,
    );
    expect(egressAllow.map(({ text }) => text)).toEqual([
      'pypi.org',
      '*.example.org:8443',
      '10.0.0.5:8080',
    ]);
    expect([...tenantEgressAllow].map(([tenant, { length }]) => [tenant, length])).toEqual([
      ['a', 2],
      ['b', 0],
    ]);
    for (const text of ['10.0.0.5', 'http://pypi.org', 'pypi.org:0', 'a.*', '0.0.0.0:80', '127.1'])
      expect(problemsOf({ EGRESS_ALLOW: text })).toEqual([
        expect.stringMatching(/^EGRESS_ALLOW is .*must be hosts such as pypi\.org/),
      ]);
  });

  it('refuses a tenant hosts that the installation does not allow', () => {
    const given = {
      EGRESS_ALLOW: 'pypi.org:443',
      TENANT_EGRESS_ALLOW: 'a=pypi.org,b=pypi.org:443',
    };
    expect(problemsOf(given)).toEqual([
      'TENANT_EGRESS_ALLOW gives the tenant a pypi.org:80, which EGRESS_ALLOW does not have.',
    ]);
    for (const text of ['a', 'a=x,a=y', '=x', 'a b=x', 'a=http://x'])
      expect(problemsOf({ EGRESS_ALLOW: '*', TENANT_EGRESS_ALLOW: text })).toEqual([
        expect.stringContaining('pairs of a tenant and hosts'),
      ]);
  });

  it('reads the index of pip, which may have no credentials, because all code can read it', () => {
    const url = 'https://pypi.example.org/simple';
    expect(loadConfig({ PIP_INDEX_URL: url }, ROOT_UID).pipIndexUrl).toBe(url);
    for (const text of ['pypi.org', 'file:///srv/wheels', 'https://ann:pw@pypi.example.org/'])
      expect(problemsOf({ PIP_INDEX_URL: text })).toEqual([
        expect.stringMatching(/^PIP_INDEX_URL is .*an http or https URL without credentials/),
      ]);
  });

  it('never shows a secret', () => {
    const text = problemsOf({
      AUTH_TOKEN: 'hunter2 with spaces',
      DATABASE_URL: 'mysql://root:hunter2@db/x',
    }).join();
    expect(text).toContain('AUTH_TOKEN');
    expect(text).toContain('mysql://db/x');
    expect(text).not.toContain('hunter2');
  });

  it.each([
    [{ MIN_IDLE_WORKERS: '5', MAX_TOTAL_WORKERS: '4' }, 'at most MAX_TOTAL_WORKERS (4)'],
    [
      { MIN_IDLE_ENVIRONMENT_WORKERS: '5', MAX_TOTAL_WORKERS: '4' },
      'MIN_IDLE_ENVIRONMENT_WORKERS is 5, but must be at most MAX_TOTAL_WORKERS (4)',
    ],
    [
      { EXECUTION_TIMEOUT_MS: '400000' },
      'EXECUTION_TIMEOUT_MS is 400000, but must be at most MAX_EXECUTION_TIMEOUT_MS (300000)',
    ],
    [{ SOCKET_DIR: `/${'d'.repeat(30)}` }, 'at most 30 bytes'],
  ])('checks values against each other: %o', (env, problem) => {
    expect(problemsOf(env)).toEqual([expect.stringContaining(problem)]);
  });

  it('compares settings with each other only if each is valid by itself', () => {
    expect(problemsOf({ MIN_IDLE_WORKERS: '50', MAX_TOTAL_WORKERS: 'x' })).toHaveLength(1);
  });

  it('puts the sockets of a user without root below their runtime directory', () => {
    const config = loadConfig({ XDG_RUNTIME_DIR: '/run/user/1000' }, USER_UID);
    expect(config.socketDir).toBe('/run/user/1000/cellhouse');
    expect(problemsOf({}, USER_UID)).toEqual([expect.stringContaining('XDG_RUNTIME_DIR')]);
  });

  it('needs the worker image to serve', () => {
    expect(loadServeConfig({ WORKER_IMAGE: 'cellhouse-worker:abc' }, ROOT_UID).workerImage).toBe(
      'cellhouse-worker:abc',
    );
    expect(() => loadServeConfig({ PORT: 'x' }, ROOT_UID)).toThrow(/PORT[\s\S]*WORKER_IMAGE/);
  });

  it.each(Object.entries(SETTINGS))(
    'describes %s: what it does, its default, and its unit and range if it has them',
    (field, setting) => {
      const { name, text, allowed, fallback, whenUnset, unit, range } = setting;
      expect(text).toMatch(/^[A-Z].*\.$/s);
      expect(allowed).not.toBe('');
      expect([fallback, whenUnset].filter((each) => each !== null)).toHaveLength(1);
      if (field !== 'dockerSocketPath')
        expect(name).toBe(field.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase());
      const units = { MS: 'ms', BYTES: 'bytes', MB: 'MiB' } as Readonly<Record<string, string>>;
      expect(unit).toBe(units[name.split('_').at(-1) ?? ''] ?? null);
      expect(range === null).toBe(!allowed.startsWith('a whole number'));
    },
  );
});
