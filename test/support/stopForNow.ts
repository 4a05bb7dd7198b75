import { onTestFinished } from 'vitest';
import type { TestGateway } from '../../testkit/gateway.ts';

/** Stops a gateway as a paused machine does, until SIGCONT. It goes on after the test, also if that fails. */
export function stopForNow({ pid }: Pick<TestGateway, 'pid'>): void {
  process.kill(pid, 'SIGSTOP');
  onTestFinished(() => void process.kill(pid, 'SIGCONT'));
}
