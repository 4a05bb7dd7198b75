/** Tests that clients of chaos runs stop when their signal is aborted. */
import { expect, it } from 'vitest';
import { type ClientDeps, untilAnswered } from '../../chaos/clients/attempts.ts';
import { createRandom } from '../../chaos/random.ts';

it('a client whose signal is aborted makes no further call, even if its attempts ignore the signal', async () => {
  const stopping = new AbortController();
  let attempts = 0;
  const attempt = async () => {
    attempts += 1;
    return { answer: attempts };
  };
  const deps: ClientDeps = {
    ...{ urls: ['http://gateway.example'], credentials: { token: 'of-ann' } },
    ...{ random: createRandom(1), signal: stopping.signal },
  };
  expect(await untilAnswered(deps, attempt)).toMatchObject({ answer: 1 });
  stopping.abort();
  await expect(untilAnswered(deps, attempt)).rejects.toThrow(stopping.signal.reason);
  expect(attempts).toBe(1);
});
