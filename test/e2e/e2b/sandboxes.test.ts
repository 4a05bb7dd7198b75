/** The life of sandboxes, as E2B's own SDK begins, lists and ends them at a real gateway. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../../testkit/until.ts';
import { E2B_SDKS, e2bKey, gateway, type Sandbox, useE2bGateway } from '../../support/e2b/sdks.ts';

useE2bGateway();

const ODD = { 'k 1': 'v&2', 'ä=?': '%25 + "🧪"', 'a,b': '' };

describe.each(E2B_SDKS)('$name', ({ sdk }) => {
  let sandbox: Sandbox;
  let apiKey: string;
  beforeAll(async () => {
    apiKey = await e2bKey(gateway, `lists-${Math.random()}`);
    sandbox = await sdk.Sandbox.create({ apiKey, metadata: ODD, timeoutMs: 120_000 });
  });
  afterAll(() => sandbox.kill());

  const listed = async (options: object = {}) => {
    const pages = sdk.Sandbox.list({ apiKey, ...options });
    const found: Awaited<ReturnType<typeof pages.nextItems>> = [];
    while (pages.hasNext) found.push(...(await pages.nextItems()));
    return found;
  };
  const idsOf = async (options: object = {}) =>
    (await listed(options)).map(({ sandboxId }) => sandboxId);

  it('a sandbox has an id of lower-case letters and digits, and getInfo describes it', async () => {
    expect(sandbox.sandboxId).toMatch(/^i[a-z0-9]{20}$/);
    const info = await sandbox.getInfo();
    expect(info).toMatchObject({
      sandboxId: sandbox.sandboxId,
      templateId: 'code-interpreter-v1',
      metadata: ODD,
      state: 'running',
      cpuCount: 1,
      memoryMB: 512,
    });
    const lifeMs = info.endAt.getTime() - info.startedAt.getTime();
    expect(Math.abs(lifeMs - 120_000)).toBeLessThan(5_000);
    expect(await sandbox.isRunning()).toBe(true);
  });

  it('getMetrics gives real figures of the worker', async () => {
    await sandbox.runCode('kept = bytearray(50_000_000)');
    const figures = await sandbox.getMetrics();
    expect(figures.length).toBeGreaterThan(0);
    const { cpuCount, memUsed, memTotal, diskUsed, diskTotal } = figures.at(-1) ?? {};
    expect(cpuCount).toBe(1);
    expect(memUsed).toBeGreaterThan(50_000_000);
    // The worker's disk of 256 MiB is in memory, too.
    expect(memTotal).toBe((512 + 256) * 1024 * 1024);
    expect(diskTotal).toBeGreaterThanOrEqual(diskUsed ?? Number.NaN);
    expect(diskTotal).toBeGreaterThan(0);
  });

  it('the list has exactly the living sandboxes of the API key, and filters by any metadata', async () => {
    const two = await Promise.all(
      [1, 2].map((n) => sdk.Sandbox.create({ apiKey, metadata: { n: `${n}` } })),
    );
    const ids = two.map(({ sandboxId }) => sandboxId);
    expect(new Set(await idsOf())).toEqual(new Set([sandbox.sandboxId, ...ids]));
    expect(new Set(await idsOf({ limit: 1 }))).toEqual(new Set([sandbox.sandboxId, ...ids]));
    expect(await idsOf({ query: { metadata: ODD } })).toEqual([sandbox.sandboxId]);
    expect(await idsOf({ query: { metadata: { n: '2' } } })).toEqual([ids[1]]);
    expect(await idsOf({ query: { metadata: { ...ODD, n: '2' } } })).toEqual([]);
    expect(await idsOf({ query: { state: ['paused'] } })).toEqual([]);
    for (const one of two) expect(await one.kill()).toBe(true);
    expect(await idsOf()).toEqual([sandbox.sandboxId]);
  });

  it('a sandbox cannot be found with another API key', async () => {
    const other = await e2bKey(gateway, `another-${Math.random()}`);
    const { sandboxId } = sandbox;
    expect(await sdk.Sandbox.list({ apiKey: other }).nextItems()).toEqual([]);
    expect(await sdk.Sandbox.kill(sandboxId, { apiKey: other })).toBe(false);
    const options = { apiKey: other };
    await expect(sdk.Sandbox.connect(sandboxId, options)).rejects.toBeInstanceOf(
      sdk.SandboxNotFoundError,
    );
    await expect(sdk.Sandbox.getInfo(sandboxId, options)).rejects.toBeInstanceOf(
      sdk.SandboxNotFoundError,
    );
    expect(await sandbox.isRunning()).toBe(true);
  });

  it('an unknown API key is refused', async () => {
    const wrong = { apiKey: `e2b_${'0'.repeat(40)}` };
    await expect(sdk.Sandbox.create(wrong)).rejects.toBeInstanceOf(sdk.AuthenticationError);
  });

  it('connect only extends the life, and setTimeout also shortens it', async () => {
    const endAt = async () => (await sandbox.getInfo()).endAt.getTime();
    const before = await endAt();
    await sdk.Sandbox.connect(sandbox.sandboxId, { apiKey, timeoutMs: 1_000 });
    expect(await endAt()).toBe(before);
    await sdk.Sandbox.connect(sandbox.sandboxId, { apiKey, timeoutMs: 300_000 });
    expect(await endAt()).toBeGreaterThan(before + 100_000);
    await sandbox.setTimeout(60_000);
    expect(await endAt()).toBeLessThan(before);
  });

  it('a sandbox ends at its time, with the code in it', async () => {
    const brief = await sdk.Sandbox.create({ apiKey, timeoutMs: 3_000 });
    const code = 'import time\ntime.sleep(300)';
    await expect(brief.runCode(code, { timeoutMs: 60_000 })).rejects.toThrow(
      /killed while the request was in progress/,
    );
    expect(await brief.isRunning()).toBe(false);
    await until('its end in the list', async () => !(await idsOf()).includes(brief.sandboxId));
    await expect(brief.getInfo()).rejects.toBeInstanceOf(sdk.SandboxNotFoundError);
  });

  it.each([
    ['pause', (own: Sandbox) => own.pause()],
    ['createSnapshot', (own: Sandbox) => own.createSnapshot()],
    ['fork', (own: Sandbox) => own.fork()],
  ])('%s is refused with status 501 and a reason', async (_name, call) => {
    await expect(call(sandbox)).rejects.toThrow(/^501: \w+/);
  });

  it('options that cannot be honoured are refused with a reason; options without effect are accepted', async () => {
    const refused = (template: string, options: object, words: RegExp) =>
      expect(sdk.Sandbox.create(template, { apiKey, ...options })).rejects.toThrow(words);
    await refused('nobody-built-this', {}, /^404: /);
    await refused('base', { volumeMounts: { '/data': 'volume' } }, /^400: /);
    await refused('base', { lifecycle: { onTimeout: 'pause' } }, /^400: /);
    await refused('base', { timeoutMs: 10 * 365 * 86_400_000 }, /^400: /);
    const taken = await sdk.Sandbox.create('base', {
      apiKey,
      secure: false,
      allowInternetAccess: true,
      network: { allowPublicTraffic: true },
    });
    await taken.kill();
  });
});
