import { expect, it } from 'vitest';
import { DomainError } from '../../src/domain/errors.ts';
import { type ChannelsDeps, serveChannels } from '../../src/doors/jupyter/serveChannels.ts';
import { defaultView } from '../../src/service/contexts/contexts.ts';
import { openSession } from '../support/states.ts';

it.each(['é', '€', '😀', 'a'])('a reason of many "%s" fits into a close frame', async (char) => {
  const reason = char.repeat(200);
  const closed = new Promise<string>((resolve) => {
    serveChannels({
      kernel: { context: defaultView(openSession()) },
      clientSession: null,
      socket: {
        protocol: '',
        close: (_code: number, why: string) => resolve(why),
        onClose: () => {},
        onStop: () => {},
        onMessage: () => {},
      },
      service: { followContext: () => Promise.reject(new DomainError('QUEUE_FULL', reason)) },
    } as unknown as ChannelsDeps);
  });
  const told = await closed;
  expect(reason.startsWith(told)).toBe(true);
  expect(told.isWellFormed()).toBe(true);
  // A reason has at most 123 bytes, and there is no room left for one more character.
  expect(Buffer.byteLength(told)).toBeLessThanOrEqual(123);
  expect(Buffer.byteLength(told)).toBeGreaterThan(119);
});
