import { execute, parse } from 'graphql';
import { expect, it } from 'vitest';
import type { Context } from '../../src/domain/context.ts';
import type { Session } from '../../src/domain/session.ts';
import { schema } from '../../src/schema/index.ts';
import { type AnswerReads, createAnswer } from '../../src/service/answer/answer.ts';

const LEVELS = 5;
const session = { id: 's', closedAt: null } as unknown as Session;
const eight = Array.from({ length: 8 }, (_, n) => ({ id: `c${n}`, sessionId: 's' }) as Context);
const none = async () => {
  throw new Error('Nothing else is read.');
};
const reads: AnswerReads = {
  sessions: async (ids) => ids.map(() => session),
  openContexts: async (ids) => ids.map(() => eight),
  sessionTimes: () => ({ expiresAt: null, idleTimeoutMs: 0 }),
  contexts: none,
  workers: none,
  environments: none,
  lastActiveAt: none,
  codes: none,
  vias: none,
  executions: none,
  placeOf: none,
  outputs: none,
};

/** Each session has nine contexts, including the default one. So the innermost lists would have 9^5 contexts in all. */
it('contexts count as items of the answer, because they lead back to their session', async () => {
  let below = 'id';
  for (let level = 0; level < LEVELS; level += 1) below = `contexts { session { ${below} } }`;
  const answer = createAnswer(reads, { inParts: 'in parts' }, 1_000_000);
  const { errors = [] } = await execute({
    schema,
    document: parse(`{ session(userUuid: "ann") { ${below} } }`),
    contextValue: { service: { session: async () => session }, answer: () => answer },
  });
  expect(errors[0]?.message).toContain('10000 items');
});
