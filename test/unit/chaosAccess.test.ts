/** Tests what the checker of chaos runs finds about revoked tokens. */
import { expect, it } from 'vitest';
import { checkHistory } from '../../chaos/check/checkHistory.ts';
import type { TokenTry } from '../../chaos/history.ts';
import { accessTried } from '../../chaos/report.ts';
import { soundHistory } from '../support/chaosHistory.ts';

const OUTCOMES = ['refused', 'let in', 'no answer'] as const;

const tryOf = (outcome: TokenTry['outcome']): TokenTry => ({
  ...{ user: 'ann', gateway: 1, revokedAt: 1_000, triedAt: 2_050 },
  outcome,
});

it('a revoked token that a gateway lets in is reported', () => {
  const history = { ...soundHistory(), tokenTries: OUTCOMES.map(tryOf) };
  expect(checkHistory(history)).toEqual([
    {
      type: 'lost',
      what: 'the end of a token of ann: gateway 1 let its holder in 1050 ms later',
    },
  ]);
});

it('the report says how many tries there were, so that a run without any is noticed', () => {
  expect(accessTried(soundHistory())).toMatch(/^0 tokens revoked; .* 0 refused, 0 let in/);
  const fault = { name: 'token: revoked', startedAt: 0, healedAt: 0, gateway: null } as const;
  const faults = [{ ...fault, workerId: null, user: 'ann' }];
  const tokenTries = [...OUTCOMES, 'refused' as const].map(tryOf);
  expect(accessTried({ ...soundHistory(), faults, tokenTries })).toBe(
    '1 tokens revoked; tried a second later: 2 refused, 1 let in, 1 without an answer',
  );
});

it('tries of revoked tokens are reported as no proof if none was answered', () => {
  const unanswered = Array.from({ length: 7 }, () => tryOf('no answer'));
  expect(checkHistory({ ...soundHistory(), tokenTries: unanswered })).toEqual([
    { type: 'lost', what: 'the proof: none of 7 tries of a revoked token was refused' },
  ]);
  const one = [...unanswered, tryOf('refused')];
  expect(checkHistory({ ...soundHistory(), tokenTries: one })).toEqual([]);
});
