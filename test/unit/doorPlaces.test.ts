/** Where clients of doors work: which names lead to the same session, and which never do. */

import { describe, expect, it } from 'vitest';
import { idOfSession, sessionOf } from '../../src/doors/mcp/session.ts';
import { targetOf } from '../../src/doors/shared/target.ts';
import { fc } from '../support/seeded.ts';

const holder = { tokenId: 'auth-token', users: null, door: 'mcp' } as const;
const ann = { ...holder, users: { uuid: 'ann' } } as const;

describe('a place', () => {
  it('has the token and the door in its name', () => {
    expect(targetOf(holder, 'a')).toEqual({ userUuid: 'auth-token:mcp:a', contextName: null });
    expect(targetOf({ ...holder, users: { prefix: 'team-' }, door: 'jupyter' }, 'a')).toEqual({
      userUuid: 'team-:jupyter:a',
      contextName: null,
    });
  });

  it('is a context of the user if the token is for one user', () => {
    expect(targetOf(ann, 'a')).toEqual({ userUuid: 'ann', contextName: 'a' });
    expect(targetOf(ann, null)).toEqual({ userUuid: 'ann', contextName: null });
  });

  it('is a different one for each id, however long or odd the id is', () => {
    const odd = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ minLength: 110, maxLength: 140 }),
    );
    fc.assert(
      fc.property(odd, odd, (one, two) => {
        for (const who of [holder, ann]) {
          const [a, b] = [targetOf(who, one), targetOf(who, two)];
          expect(a.userUuid.length).toBeLessThanOrEqual(128);
          expect((a.contextName ?? a.userUuid).isWellFormed()).toBe(true);
          if (one !== two) expect(a).not.toEqual(b);
        }
      }),
    );
  });
});

describe("an MCP client's session", () => {
  const id = '01a220f9-2cac-771c-99e3-637367f5bd96';
  const callOf = (headers: Record<string, string>, principal: object = holder) =>
    ({ principal, headers, deps: { newId: () => id } }) as unknown as Parameters<
      typeof sessionOf
    >[0];

  it('has the id that is passed, else the id in a header, else a new id', () => {
    const headers = { 'x-session-id': 'h', 'x-openwebui-chat-id': 'chat' };
    expect(sessionOf(callOf(headers), 'a').id).toBe('a');
    expect(sessionOf(callOf(headers), undefined).id).toBe('h');
    expect(sessionOf(callOf({ 'x-openwebui-chat-id': 'chat' }), undefined).id).toBe('chat');
    expect(sessionOf(callOf({}), undefined)).toMatchObject({
      id,
      place: { userUuid: `auth-token:mcp:${id}` },
    });
  });

  it('is the default context of a token for one user, unless it names another', () => {
    const call = callOf({ 'x-user-id': 'bob' }, ann);
    expect(sessionOf(call, undefined)).toMatchObject({ id: 'default', place: targetOf(ann, null) });
    expect(sessionOf(call, 'default').place).toEqual(targetOf(ann, null));
    expect(sessionOf(call, 'a').place).toEqual(targetOf(ann, 'a'));
  });

  it('has no id in the answer about a command of a token for one user: commands have no context', async () => {
    const call = { ...callOf({}, ann), service: {} as never };
    const ran = { userUuid: 'ann', contextId: null };
    expect(await idOfSession(call, { ...ran, language: 'PYTHON' })).toBe('default');
    expect(await idOfSession(call, { ...ran, language: 'BASH' })).toBe(null);
  });

  it('is never that of another user whom the host names, whatever ids they pass', async () => {
    const text = fc.string({ minLength: 1, maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(text, text, text, text, async (user, other, id, theirs) => {
        fc.pre(user !== other);
        const mine = callOf({ 'x-user-id': user });
        const { place } = sessionOf(mine, id);
        expect(place).not.toEqual(sessionOf(callOf({ 'x-user-id': other }), theirs).place);
        const ran = { userUuid: place.userUuid, contextId: null, language: 'BASH' } as const;
        expect(await idOfSession({ ...mine, service: {} as never }, ran)).toBe(id);
      }),
    );
  });

  it("is never that of another user, even if the user's id and the session's id read the same when joined", () => {
    const placeFor = (user: string, session: string) =>
      sessionOf(callOf({ 'x-user-id': user }), session).place;
    expect(placeFor('a', 'b:c')).not.toEqual(placeFor('a:b', 'c'));
    expect(placeFor('a%3Ab', 'c')).not.toEqual(placeFor('a:b', 'c'));
  });
});
