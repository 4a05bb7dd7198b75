/** A real gateway with real workers, and the SDK's variables set for it, for the tests of the file that asks for it. */
import { afterAll, beforeAll } from 'vitest';
import { startTestGateway, type TestGateway } from '../../../testkit/gateway.ts';
import { e2bKey } from './e2bKey.ts';
import { setVariables } from './sdks.ts';

export let gateway: TestGateway;
/** The key that the variables have. */
export let key: string;

/** Starts it before the tests of the file that calls this, and ends it afterwards. */
export function useE2bGateway(): void {
  beforeAll(async () => {
    gateway = await startTestGateway({ MIN_IDLE_WORKERS: '0' });
    key = await e2bKey(gateway, 'e2b');
    setVariables(gateway, key);
  });
  afterAll(() => gateway.destroy());
}
