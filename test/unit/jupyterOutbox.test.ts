/** The messages to a Jupyter client that accepts no large messages. */
import { expect, it } from 'vitest';
import { createOutbox, PLAIN_CLIENT_BYTES } from '../../src/doors/jupyter/cellMessages.ts';
import type { Sent } from '../../src/doors/jupyter/messages.ts';

/** The content of a message as it is sent, and its size. */
async function sent(message: Sent) {
  const frames: string[] = [];
  const out = createOutbox({
    socket: {
      protocol: '',
      isOpen: true,
      send: async (frame) => void frames.push(String(frame)),
      arrived: async () => true,
      onMessage: () => {},
      onStop: () => {},
      onClose: () => {},
      close: () => {},
    },
    kernelId: 'k',
    kernelRestarts: 0,
    maxMessageBytes: PLAIN_CLIENT_BYTES,
  });
  await out.send({ sent: message, id: 'm', at: new Date(0), parent: null });
  const [frame = ''] = frames;
  const { content } = JSON.parse(frame) as { content: Record<string, unknown> };
  return { content, bytes: Buffer.byteLength(frame) };
}

const LARGE = 'x'.repeat(PLAIN_CLIENT_BYTES);
const NOTE = expect.stringContaining('larger than the 1048576 bytes');

it('An output that is too large is replaced by a note', async () => {
  const data = { 'image/png': LARGE };
  const content = { data, metadata: { a: 1 }, transient: {} };
  const { content: told, bytes } = await sent({ channel: 'iopub', type: 'display_data', content });
  expect(told).toEqual({ data: { 'text/plain': NOTE }, metadata: {}, transient: {} });
  expect(bytes).toBeLessThan(PLAIN_CLIENT_BYTES);
});

it.each(['error', 'execute_reply'])(
  'An %s with a traceback that is too large keeps its name and its text',
  async (type) => {
    const content = { ename: 'E', evalue: 'the answer', traceback: [LARGE] };
    const { content: told, bytes } = await sent({ channel: 'iopub', type, content });
    expect(told).toEqual({ ename: 'E', evalue: 'the answer', traceback: [NOTE] });
    expect(bytes).toBeLessThan(PLAIN_CLIENT_BYTES);
  },
);

it('A small message is sent as it is', async () => {
  const content = { ename: 'E', evalue: 'v', traceback: ['a', 'b'] };
  expect((await sent({ channel: 'iopub', type: 'error', content })).content).toEqual(content);
});
