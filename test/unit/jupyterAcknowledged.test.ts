/** How far a client of a kernel has received messages: only what its WebSocket has acknowledged counts. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { ContextOffset } from '../../src/domain/context.ts';
import { createAcknowledged } from '../../src/doors/jupyter/requestQueue.ts';
import type { DoorSocket } from '../../src/doors/openDoor.ts';

/** Longer than the pause between two questions. */
const LATER_MS = 1_000;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const place = (seq: number): ContextOffset => ({ position: 1, seq });

/** A connection whose client answers, or whose socket closes, when the test says so. */
function connected() {
  const questions: ((hasArrived: boolean) => void)[] = [];
  const reached: number[] = [];
  const socket = {
    isOpen: true,
    arrived: () => new Promise<boolean>((resolve) => questions.push(resolve)),
    onClose: () => {},
  };
  const acknowledged = createAcknowledged(socket as unknown as DoorSocket);
  acknowledged.tell({
    reached: ({ seq }) => void reached.push(seq),
    recorded: async () => {},
  });
  return {
    ...acknowledged,
    reached,
    /** Answers the latest question. False: the socket was closed before the client could answer. */
    answer: async (hasArrived: boolean) => {
      if (!hasArrived) socket.isOpen = false;
      questions.at(-1)?.(hasArrived);
      await vi.advanceTimersByTimeAsync(0);
    },
    asked: () => questions.length,
  };
}

it('A place is reached when the client has answered, and not before', async () => {
  const { sent, reached, answer, asked } = connected();
  sent(place(1));
  await vi.advanceTimersByTimeAsync(LATER_MS);
  expect([asked(), reached]).toEqual([1, []]);
  await answer(true);
  expect(reached).toEqual([1]);
});

it('One question is asked at a time, and the next one is for all that was sent meanwhile', async () => {
  const { sent, reached, answer, asked } = connected();
  for (const seq of [1, 2, 3]) sent(place(seq));
  await answer(true);
  expect([asked(), reached]).toEqual([1, [1]]);
  await vi.advanceTimersByTimeAsync(LATER_MS);
  await answer(true);
  expect([asked(), reached]).toEqual([2, [1, 3]]);
});

it('A place whose message was on its way when the connection broke is not reached', async () => {
  const { sent, reached, answer } = connected();
  sent(place(1));
  await answer(true);
  await vi.advanceTimersByTimeAsync(LATER_MS);
  sent(place(2));
  await answer(false);
  expect(reached).toEqual([1]);
});

it('A place whose message had not arrived when the gateway stopped is not reached', async () => {
  const { sent, settle, reached, answer } = connected();
  sent(place(1));
  sent(place(2));
  const settled = settle();
  await answer(true);
  await answer(false);
  await settled;
  expect(reached).toEqual([1]);
});
