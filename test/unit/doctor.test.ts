/** The findings that doctor concludes from the facts that it has seen. */
import { describe, expect, it } from 'vitest';
import { doctorArguments } from '../../src/cli/doctor.ts';
import { loadConfig } from '../../src/config/config.ts';
import { judgeRuntimes, judgeServer, judgeTokens } from '../../src/doctor/database.ts';
import {
  judgeEngine,
  judgeImage,
  judgeNoEngine,
  judgeSameEngine,
} from '../../src/doctor/engine.ts';
import { type Finding, failure, limited, warning } from '../../src/doctor/finding.ts';
import { judgeClock, judgeLimits, judgeMemory, judgeNode } from '../../src/doctor/machine.ts';
import { judgeEgress, judgeHost, judgeQuotas, judgeSharing } from '../../src/doctor/policy.ts';
import { judgeAddress, judgeSilence, judgeStream, judgeTls, LATE } from '../../src/doctor/proxy.ts';
import { TROUBLES, type TroubleId, troubleOf } from '../../src/doctor/troubles.ts';
import { judgeWalls, type SeenWalls } from '../../src/doctor/walls.ts';
import type { PoolId, TokenId } from '../../src/domain/ids.ts';
import { isAbout } from '../support/troubles.ts';

const MIB = 1024 ** 2;
const config = loadConfig({ SOCKET_DIR: '/run/x' });
const seen = (findings: readonly Finding[]) =>
  findings.map(({ state, trouble }) => [state, trouble]);

describe('a finding', () => {
  it('is in the words of its row', () => {
    const full = failure('diskFull', 'DATA_DIR (/x)', '3 MiB');
    expect(full).toMatchObject({ check: 'disks', state: 'failure', trouble: 'diskFull' });
    expect(full.found).toBe('The disk of DATA_DIR (/x) is full: 3 MiB free');
    expect(isAbout(troubleOf('diskFull'), full.found)).toBe(true);
  });

  it('needs a part for each … of its row', () => {
    expect(() => warning('diskLow', 'one')).toThrow('has 2 parts, not 1');
  });

  it('is a failure of each check if the work fails, or takes too long', async () => {
    const failed = await limited(['image', 'worker'], 1_000, async () => {
      throw new Error('no');
    });
    expect(failed.map(({ check, found }) => [check, found])).toEqual([
      ['image', 'The check failed: no'],
      ['worker', 'The check failed: no'],
    ]);
    const late = await limited(['engine'], 10, () => new Promise<never>(() => {}));
    expect(late).toMatchObject([{ state: 'failure', trouble: 'doctorLate' }]);
  });

  it('of every row with a check can be said', () => {
    const ids = Object.values(TROUBLES).flatMap((rows) => Object.keys(rows)) as TroubleId[];
    const checked = ids.filter((id) => troubleOf(id).check !== undefined);
    expect(checked.length).toBeGreaterThan(25);
    for (const id of checked) {
      const holes = (troubleOf(id).messages[0] ?? '').split('…').length - 1;
      const said = failure(id, ...Array.from({ length: holes }, () => 'x'));
      expect(isAbout(troubleOf(id), said.found)).toBe(true);
    }
  });
});

describe('doctor warns', () => {
  it.each([
    [24_000, 20_000, [['ok', null]]],
    [16_000, 12_000, [['warning', 'memoryFull']]],
    [24_000, 100, [['warning', 'memoryLow']]],
    [1_200, 1_000, [['failure', 'memoryIdle']]],
  ])('of memory: %i MiB, of which %i are available', (total, available, expected) => {
    const memory = { totalBytes: total * MIB, availableBytes: available * MIB };
    expect(seen(judgeMemory(config, memory))).toEqual(expected);
  });

  it('counts the memory of gVisor', () => {
    const memory = { totalBytes: 24_000 * MIB, availableBytes: 20_000 * MIB };
    const under = { ...config, dockerRuntime: 'runsc' };
    expect(seen(judgeMemory(under, memory))).toEqual([['warning', 'memoryFull']]);
  });

  it.each([
    [null, true, 'ok', null],
    [null, null, 'unknown', null],
    [20, true, 'ok', null],
    [20, false, 'warning', 'clockAlone'],
    [-2_000, true, 'warning', 'clockDiffers'],
    [86_400_000, null, 'failure', 'clockDiffers'],
  ])(
    'of a clock that is %s ms ahead, and synchronised: %s',
    (aheadMs, isSynchronised, ...result) => {
      const offset = aheadMs === null ? null : { aheadMs, uncertaintyMs: 5 };
      expect(seen(judgeClock(offset, isSynchronised))).toEqual([result]);
    },
  );

  it('does not take a slow answer for a wrong clock', () => {
    expect(seen(judgeClock({ aheadMs: 2_000, uncertaintyMs: 1_500 }, true))).toEqual([
      ['ok', null],
    ]);
  });

  it('says how the clocks differ', () => {
    const [found] = judgeClock({ aheadMs: -3_600_000, uncertaintyMs: 1 }, null);
    expect(found?.found).toBe("The clock of this machine is 3600.0 s behind the database's");
  });

  it.each([
    ['20.19.5', '2026-12-03', 'warning', 'nodeOld'],
    ['24.12.0', '2026-12-03', 'ok', null],
    ['24.12.0', '2028-05-01', 'warning', 'nodeOld'],
    ['25.0.0', '2026-12-03', 'unknown', null],
  ])('of Node %s on %s', (version, day, ...result) => {
    expect(seen([judgeNode(version, new Date(day))])).toEqual([result]);
  });

  it.each([
    ['4096', 1_280, [['ok', null]]],
    ['unlimited', 1_280, [['ok', null]]],
    ['1024', 1_280, [['warning', 'fewFiles']]],
    ['4096', 1_279, [['warning', 'fewProcesses']]],
    [
      '1024',
      99,
      [
        ['warning', 'fewFiles'],
        ['warning', 'fewProcesses'],
      ],
    ],
  ])('of limits: %s files, %i processes', (files, processes, expected) => {
    const wanted = { maxTotalWorkers: 10, workerPids: 128 };
    expect(seen(judgeLimits(wanted, { who: 'The gateway', files, processes }))).toEqual(expected);
  });

  it('of tokens that expire within a week, or have expired within a month', () => {
    const now = new Date('2026-12-02T12:00:00Z');
    const token = (name: string, days: number | null, revokedAt: Date | null = null) => ({
      ...{ name, id: `id-of-${name}` as TokenId, revokedAt },
      expiresAt: days === null ? null : new Date(now.getTime() + days * 86_400_000),
    });
    const tokens = [
      ...[token('never', null), token('far', 8), token('gone', 1, now), token('old', -31)],
      ...[token('soon', 1), token('past', -2)],
    ];
    const found = judgeTokens(tokens, now);
    expect(found.map((each) => each.found)).toEqual([
      'The token soon (id-of-soon) expires at 2026-12-03T12:00Z',
      'The token past (id-of-past) has expired at 2026-11-30T12:00Z',
    ]);
    expect(seen(judgeTokens(tokens.slice(0, 4), now))).toEqual([['ok', null]]);
  });

  it.each([
    [{}, 'ok', null],
    [{ isStandby: true }, 'failure', 'databaseUnready'],
    [{ isReadOnly: true }, 'failure', 'databaseUnready'],
    [{ fsync: 'off' }, 'warning', 'databaseUnready'],
    [{ version: '17.7', major: 17 }, 'ok', null],
    [{ version: '16.4', major: 16 }, 'warning', 'databaseOld'],
  ])('of a server with %j', (change, ...result) => {
    const facts = { version: '18.1', major: 18, isStandby: false, isReadOnly: false, fsync: 'on' };
    expect(seen([judgeServer({ ...facts, ...change }, 'PostgreSQL')])).toEqual([result]);
  });
});

describe('the engine', () => {
  const engine = {
    ...{ id: 'here', keepsContainers: true, ociRuntimes: ['runc'], version: '26' },
    ...{ dataRoot: '/var/lib/docker', unlimited: [] },
  };
  it.each([
    [{}, {}, [null, null, null]],
    [{ keepsContainers: false }, {}, [null, null, 'liveRestore']],
    [{ unlimited: ['memory'] }, {}, ['engineLimits', null, null]],
    [{}, { dockerRuntime: 'runsc' }, [null, 'runtimeUnknown', null]],
  ])('with %j and the settings %j', (change, settings, troubles) => {
    const found = judgeEngine({ ...engine, ...change }, { ...config, ...settings });
    expect(found.map(({ trouble }) => trouble)).toEqual(troubles);
  });

  it.each([
    ['EACCES', 'engineDenied'],
    ['ECONNREFUSED', 'engineAway'],
  ])('that answers with %s', (code, trouble) => {
    const error = Object.assign(new Error(`connect ${code}`), { code });
    expect(judgeNoEngine('/run/docker.sock', error)).toMatchObject({ state: 'failure', trouble });
  });

  it('has an image with the security updates of the last two months', () => {
    const judge = (day: string) => judgeImage('workers:1', new Date(day), new Date('2026-12-03'));
    expect(seen([judge('2026-10-04')])).toEqual([['ok', null]]);
    expect(seen([judge('2026-10-03')])).toEqual([['warning', 'imageOld']]);
    expect(judge('2026-10-03').found).toBe('The worker image workers:1 is 61 days old');
  });

  it('has workers of one runtime', () => {
    const runtimes = new Map([
      ['runc', 3],
      ['runsc', 2],
    ]);
    expect(judgeRuntimes({ runtimes }, 'runsc')).toMatchObject([
      {
        ...{ check: 'runtime', state: 'warning', trouble: 'otherRuntime' },
        found: 'Of the workers, 3 run under runc, not under runsc',
      },
    ]);
    runtimes.delete('runc');
    expect(judgeRuntimes({ runtimes }, 'runsc')).toEqual([]);
    expect(judgeRuntimes(null, 'runsc')).toEqual([]);
  });

  it('must be the one that has the workers', () => {
    const pool = { poolId: 'p' as PoolId, engineId: 'here', createdAt: new Date() };
    const judge = (engineId: string) =>
      judgeSameEngine(config, { engine, pool: { ...pool, engineId } });
    expect(judge('here').state).toBe('ok');
    expect(judge('there')).toMatchObject({ state: 'failure', trouble: 'otherEngine' });
    expect(judgeSameEngine(config, { engine: null, pool }).state).toBe('unknown');
  });
});

describe('the walls of a worker', () => {
  const limits = { memoryMb: 512, diskMb: 256, cpus: 1, pids: 128 };
  const whole: SeenWalls = {
    ...{ uid: 64_002, capabilities: ['0000000000000000'], noNewPrivs: '1', seccomp: '2' },
    ...{ interfaces: ['lo'], isRootWritable: false, openFiles: 1_024, kernel: 'host' },
    ...{ memory: String(768 * MIB), pids: '128' },
  };
  const judge = (change: Partial<SeenWalls>, ociRuntime = 'runc') =>
    judgeWalls({ ...whole, ...change }, { limits, ociRuntime }, 'host');

  it('stand', () => {
    expect(seen(judge({}))).toEqual([['ok', null]]);
  });

  it.each([
    [{ uid: 0 }, 'root'],
    [{ capabilities: ['0000000000000000', '00000000000000a0'] }, 'capabilities'],
    [{ noNewPrivs: '0' }, 'no_new_privs'],
    [{ seccomp: '0' }, 'seccomp'],
    [{ interfaces: ['lo', 'eth0'] }, 'eth0'],
    [{ isRootWritable: true }, 'written'],
    [{ openFiles: 1_048_576 }, '1048576 files'],
    [{ memory: 'max' }, 'limit of memory (max)'],
    [{ memory: null }, 'limit of memory (not known)'],
    [{ memory: String(800 * MIB) }, 'limit of memory'],
    [{ pids: 'max' }, 'limit of processes'],
  ])('are missing with %j', (change, words) => {
    expect(judge(change)).toMatchObject([
      { state: 'failure', trouble: 'wallMissing', found: expect.stringContaining(words) },
    ]);
  });

  it("are gVisor's only if the worker does not see this machine's Linux", () => {
    const inside = { seccomp: '0', memory: null, pids: null };
    expect(seen(judge(inside, 'runsc'))).toEqual([['failure', 'notUnderGvisor']]);
    expect(seen(judge({ ...inside, kernel: 'gVisor' }, 'runsc'))).toEqual([['ok', null]]);
  });
});

describe('what only an operator can decide', () => {
  it.each([
    ['', 'ok', null],
    ['pypi.org,*.example.com', 'ok', null],
    ['pypi.org,*:443', 'warning', 'egressEverywhere'],
    ['0.0.0.0/0', 'warning', 'egressEverywhere'],
    ['pypi.org,[::/0]:443', 'warning', 'egressEverywhere'],
  ])('is judged with EGRESS_ALLOW=%s', (EGRESS_ALLOW, ...result) => {
    expect(seen([judgeEgress(loadConfig({ SOCKET_DIR: '/run/x', EGRESS_ALLOW }))])).toEqual([
      result,
    ]);
  });

  it.each([
    ['127.0.0.1', false, 'ok', null],
    ['localhost', false, 'ok', null],
    ['::1', true, 'ok', null],
    ['0.0.0.0', false, 'warning', 'hostOpen'],
    ['192.0.2.7', false, 'warning', 'hostOpen'],
    ['127.example.com', false, 'warning', 'hostOpen'],
    ['0.0.0.0', true, 'unknown', null],
  ])('is judged with HOST=%s, in a container: %s', (host, isContainer, ...result) => {
    expect(seen([judgeHost({ host }, isContainer)])).toEqual([result]);
  });

  it('is whether clients share the token of operators', () => {
    const open = { tenants: 0, sessions: new Map([['default', 1]]) };
    expect(seen(judgeSharing(open))).toEqual([['warning', 'tokensShared']]);
    expect(judgeSharing({ ...open, tenants: 1 })).toEqual([]);
    expect(judgeSharing({ ...open, sessions: new Map() })).toEqual([]);
    expect(judgeSharing(null)).toEqual([]);
  });

  it('is whether quotas limit several tenants', () => {
    const limited = loadConfig({ SOCKET_DIR: '/run/x', QUOTA_USER_OPEN_SESSIONS: '1' });
    const two = { tenants: 2, setQuotas: 0 };
    expect(judgeQuotas(config, two)).toMatchObject({
      ...{ state: 'warning', trouble: 'quotasNone', found: 'No quota limits any of the 2 tenants' },
    });
    expect(judgeQuotas(limited, two).state).toBe('ok');
    expect(judgeQuotas(config, { ...two, setQuotas: 1 }).state).toBe('ok');
    expect(judgeQuotas(config, { ...two, tenants: 1 }).state).toBe('ok');
    expect(judgeQuotas(config, null).state).toBe('unknown');
  });
});

describe('TLS of a proxy', () => {
  const now = new Date('2026-01-01T00:00:00Z');
  it.each([
    [null, '127.0.0.1', 'ok', null],
    [null, '::1', 'ok', null],
    [null, '192.0.2.1', 'warning', 'proxyPlain'],
    [['2025-11-01T00:00:00Z', '2026-01-14T00:00:00Z'], '192.0.2.1', 'warning', 'proxyCertificate'],
    [['2025-11-01T00:00:00Z', '2026-01-16T00:00:00Z'], '192.0.2.1', 'ok', null],
    // Caddy's own live for 12 hours.
    [['2025-12-31T16:00:00Z', '2026-01-01T04:00:00Z'], '192.0.2.1', 'ok', null],
    [['2025-12-31T14:00:00Z', '2026-01-01T02:00:00Z'], '192.0.2.1', 'warning', 'proxyCertificate'],
  ])(
    'is judged by a certificate from and until %j (doctor at %s)',
    (dates, ownAddress, ...result) => {
      const [from, to] = (dates ?? []).map((date) => new Date(date));
      const certificate = from && to ? { from, to } : null;
      const facts = { url: 'http://code.example', ownAddress, certificate };
      expect(seen([judgeTls(facts, now)])).toEqual([result]);
    },
  );
});

describe('a stream through a proxy', () => {
  it.each([
    [LATE, '', 'failure', 'proxyBuffers'],
    [200, 'event: next\ndata: {}', 'ok', null],
    [LATE, 'event: next\ndata: {}', 'ok', null],
    [401, '', 'unknown', null],
    [404, 'Not found', 'unknown', null],
    [502, 'Bad gateway', 'unknown', null],
    ['socket hang up', '', 'unknown', null],
  ])('is judged by %s with the content %j', (status, body, ...result) => {
    expect(seen([judgeStream({ status, body })])).toEqual([result]);
  });
});

describe('a silent stream through a proxy', () => {
  it.each([
    [200, ':\n\n:\n\n', 'ok', null],
    [LATE, ':\n\n', 'ok', null],
    [200, ':\n\n', 'failure', 'proxyTimeout'],
    [LATE, '', 'unknown', null],
    [200, ':\n\nevent: next\ndata: {"errors":[]}\n\n', 'unknown', null],
    [429, '{"errors":[]}', 'unknown', null],
    ['socket hang up', '', 'unknown', null],
  ])('is judged by %s with the content %j', (status, body, ...result) => {
    expect(seen([judgeSilence({ status, body }, 5)])).toEqual([result]);
  });
});

describe('the address of callers', () => {
  it.each([
    ['127.97.53.1', '127.97.53.1', true, 'ok'],
    ['127.0.0.1', '127.97.53.1', true, 'failure'],
    ['10.0.0.9', '192.0.2.7', false, 'warning'],
    [undefined, '192.0.2.7', false, 'unknown'],
    ['2001:db8:0:0', '2001:db8::1', false, 'unknown'],
  ])('%s, of a caller at %s', (address, own, isSure, state) => {
    expect(judgeAddress({ seen: address, own, isSure }).state).toBe(state);
  });
});

describe('the arguments', () => {
  it('are read', () => {
    expect(doctorArguments([])).toEqual({ isJson: false, url: null, tokenFile: undefined });
    expect(doctorArguments(['--json', '--url', 'https://a.example/'])).toMatchObject({
      ...{ isJson: true, url: 'https://a.example' },
    });
    expect(() => doctorArguments(['--url', 'a.example'])).toThrow('--url must be like');
  });
});
