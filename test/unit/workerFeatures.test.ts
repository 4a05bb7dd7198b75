/** A question to a worker's agent that is asked again while the earlier question fails. */
import { Duplex } from 'node:stream';
import { expect, it } from 'vitest';
import type { Worker } from '../../src/domain/worker.ts';
import { createWorkerFeatures } from '../../src/worker/askAgent.ts';

const worker = { id: 'worker-1' } as unknown as Worker;

it('the failure of an old question does not discard a newer one, asked since the worker was forgotten', async () => {
  const asked: Duplex[] = [];
  const open = () => {
    // An agent that does not answer.
    const stream = new Duplex({
      read: () => undefined,
      write: (_chunk, _encoding, done) => done(),
    });
    asked.push(stream);
    return stream;
  };
  const address = { open, untilOpen: async () => undefined };
  const features = createWorkerFeatures(
    () => address,
    () => new Date(),
  );
  const first = features.of(worker);
  features.forget(worker.id);
  const second = features.of(worker);
  asked[0]?.destroy(new Error('gone'));
  await expect(first).rejects.toThrow();
  const third = features.of(worker);
  expect(asked).toHaveLength(2);
  asked[1]?.destroy(new Error('gone'));
  for (const each of [second, third]) await expect(each).rejects.toThrow();
});
