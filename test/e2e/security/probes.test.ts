/**
 * Hostile code attacks its worker from a normal session, under each runtime, and no attack may succeed. A probe that
 * breaks for another reason counts as failed, too.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestGateway, type TestGateway } from '../../../testkit/gateway.ts';
import { execute, runCommand } from '../../../testkit/interpreter.ts';
import { workerImage } from '../../../testkit/workerImage.ts';
import {
  type HostTargets,
  openHostTargets,
  parseVerdicts,
  probeCode,
  probeNames,
  probeThemes,
  TIERS,
  type Verdict,
} from '../../support/probes.ts';

/** The limit for one theme. The longest reads every file of the image, under gVisor and on a busy machine. */
const THEME_TIMEOUT_MS = 90_000;
const MIN_PROBES = 60;

it(`the probes are at least ${MIN_PROBES} different attacks under each runtime`, () => {
  for (const tier of TIERS) {
    const names = probeThemes().flatMap((theme) => probeNames(theme, tier));
    expect(new Set(names).size).toBe(names.length);
    expect(names.length).toBeGreaterThanOrEqual(MIN_PROBES);
  }
});

describe.each(TIERS)('under %s, hostile code that', (tier) => {
  let gateway: TestGateway;
  let targets: HostTargets;

  beforeAll(async () => {
    gateway = await startTestGateway({
      WORKER_IMAGE: workerImage(),
      DOCKER_RUNTIME: tier,
      MIN_IDLE_WORKERS: '0',
    });
    targets = await openHostTargets(gateway, tier);
    // The first command starts the worker's spawner, so that the probes attack the spawner, too.
    expect(await runCommand(gateway, 'mallory', 'true')).toMatchObject({ status: 'OK' });
  });
  afterAll(async () => {
    await targets?.close();
    await gateway?.destroy();
  });

  describe.each(probeThemes())('(%s)', (theme) => {
    let verdicts: Map<string, Verdict>;

    beforeAll(async () => {
      const code = probeCode(theme, targets.parameters);
      const ran = await execute(gateway, 'mallory', code, { timeoutMs: THEME_TIMEOUT_MS });
      expect(ran).toMatchObject({ status: 'OK', stderr: '' });
      verdicts = parseVerdicts(ran.stdout);
    });

    it.each(probeNames(theme, tier))('%s, is refused', (name) => {
      expect(verdicts.get(name)).toEqual({ probe: name, held: expect.stringMatching(/./) });
    });
  });

  it('the attacks have reached no server of the host', () => {
    expect(targets.connections()).toBe(0);
  });

  it('has left the session in order', async () => {
    expect(await execute(gateway, 'mallory', '6 * 7')).toMatchObject({
      status: 'OK',
      resultText: '42',
      stateLost: false,
    });
  });
});
