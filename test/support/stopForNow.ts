import { onTestFinished } from 'vitest';
import type { TestGateway } from '../../testkit/gateway.ts';

/** Stops a gateway until SIGCONT, as if its machine were paused. It goes on after the test, even if the test fails. */
export function stopForNow({ pid }: Pick<TestGateway, 'pid'>): void {
  process.kill(pid, 'SIGSTOP');
  onTestFinished(() => void process.kill(pid, 'SIGCONT'));
}
