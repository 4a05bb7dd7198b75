/** Tests that clients of chaos runs end when they are told to. */
import { expect, it } from 'vitest';
import { type ClientDeps, untilAnswered } from '../../chaos/clients/attempts.ts';
import { createRandom } from '../../chaos/random.ts';

it('a client that was ended makes no further call, also one whose attempts heed no signal', async () => {
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
