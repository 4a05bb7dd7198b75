/**
 * Two real gateways of one installation, with real workers, for the tests of the file that asks for them. Each
 * test has a user of its own.
 */
import { afterAll, beforeAll, beforeEach } from 'vitest';
import type { TestGateway } from '../../testkit/gateway.ts';
import { createInstallation, type TestInstallation } from './installation.ts';

const MAX_USER_CHARS = 100;

export let installation: TestInstallation;
export let gateways: readonly [TestGateway, TestGateway];
/** The first of them. */
export let gateway: TestGateway;
export let other: TestGateway;
/** The user of the present test. */
export let user: string;

/** Starts them before the tests of the file that calls this, and ends them afterwards. */
export function useTwoRealGateways(): void {
  beforeAll(async () => {
    installation = await createInstallation({ MIN_IDLE_WORKERS: '0' });
    gateways = [await installation.start(), await installation.start()];
    [gateway, other] = gateways;
  });
  afterAll(() => installation.destroy());
  beforeEach(({ task }) => {
    user = task.name.slice(0, MAX_USER_CHARS);
  });
}
