import { describe, expect, it } from 'vitest';
import type { TokenId } from '../../src/domain/ids.ts';
import {
  decideToken,
  evolveToken,
  type TokenCommand,
  type TokenEvent,
} from '../../src/domain/token.ts';
import { newId } from '../../src/process/newId.ts';
import { deciderSpecification } from '../support/deciderSpecification.ts';
import { fc } from '../support/seeded.ts';

const at = '2026-01-02T03:04:05.678Z';
const formerUntil = '2026-01-02T04:04:05.678Z';
const facts = {
  tokenId: newId<TokenId>(),
  name: 'notebooks',
  role: 'USER',
  tenant: 'default',
  userUuid: null,
  userPrefix: 'ann-',
  door: 'graphql',
  expiresAt: '2026-02-02T03:04:05.678Z',
  secretSha256: 'first',
} as const;

const create: TokenCommand = { type: 'CreateToken', at, ...facts };
const rotate: TokenCommand = { type: 'RotateToken', at, secretSha256: 'second', formerUntil };
const revoke: TokenCommand = { type: 'RevokeToken', at, reason: 'revoked' };

const created: TokenEvent = { type: 'TokenCreated', data: { at, ...facts } };
const rotated: TokenEvent = {
  type: 'TokenRotated',
  data: { at, secretSha256: 'second', formerUntil },
};
const revoked: TokenEvent = { type: 'TokenRevoked', data: { at, reason: 'revoked' } };

const { given, play } = deciderSpecification({ decide: decideToken, evolve: evolveToken });

describe('a token', () => {
  it('given none, when created: it says whom it lets in, and until when', () => {
    given().when(create).then(created);
    const { tokenId: id, expiresAt, ...rest } = facts;
    expect(given(created).state).toEqual({
      ...{ id, version: 1, ...rest, createdAt: new Date(at), expiresAt: new Date(expiresAt) },
      ...{ formerSha256: null, formerUntil: null, revokedAt: null, revokeReason: null },
    });
  });

  it('given one, when created again: it is refused', () => {
    given(created).when(create).thenThrows(/valid/);
    given(created, revoked)
      .when(create)
      .thenThrows(/revoked/);
  });

  it('given none, when anything else comes: it is refused', () => {
    for (const command of [rotate, revoke])
      given()
        .when(command)
        .thenThrows(/not created/);
  });

  it('given one, when rotated: the former secret is valid for a while', () => {
    given(created).when(rotate).then(rotated);
    expect(given(created, rotated).state).toMatchObject({
      ...{ secretSha256: 'second', formerSha256: 'first', formerUntil: new Date(formerUntil) },
    });
  });

  it('given one, when revoked: that is recorded once, and it cannot be rotated any more', () => {
    given(created, rotated).when(revoke).then(revoked);
    expect(given(created, revoked).state).toMatchObject({
      revokedAt: new Date(at),
      revokeReason: 'revoked',
    });
    given(created, revoked).when(revoke).then();
    given(created, revoked)
      .when(rotate)
      .thenThrows(/revoked/);
  });

  it('its version counts its events, and nothing follows its revocation', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(rotate, revoke)), (rest) => {
        const end = rest.indexOf(revoke);
        const recorded = play([create, ...(end < 0 ? rest : rest.slice(0, end + 1)), revoke]);
        for (const [index, [, state]] of recorded.entries()) expect(state.version).toBe(index + 1);
        expect(recorded.filter(([{ type }]) => type === 'TokenRevoked')).toHaveLength(1);
        expect(recorded.at(-1)?.[0].type).toBe('TokenRevoked');
      }),
    );
  });
});
