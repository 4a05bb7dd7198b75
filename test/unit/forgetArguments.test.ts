import { describe, expect, it } from 'vitest';
import { forgetArguments } from '../../src/cli/forget.ts';

describe('forgetArguments', () => {
  it('reads a user, with or without a tenant, or a tenant', () => {
    const ownerIn = (...words: string[]) => forgetArguments(words).owner;
    expect(ownerIn('--user', 'ann')).toEqual({ tenant: 'default', userUuid: 'ann' });
    expect(ownerIn('--user=ann', '--tenant', 'a')).toEqual({ tenant: 'a', userUuid: 'ann' });
    expect(ownerIn('--tenant', 'a')).toEqual({ tenant: 'a', userUuid: null });
  });

  it('is confirmed only if --yes is given', () => {
    expect(forgetArguments(['--tenant', 'a']).isConfirmed).toBe(false);
    expect(forgetArguments(['--tenant', 'a', '--yes']).isConfirmed).toBe(true);
  });

  it.each([
    [[], 'who is to be forgotten'],
    [['--user='], 'name of a user'],
    [['--tenant='], 'name of a tenant'],
    [['--user', 'ann', '--tenant='], 'name of a tenant'],
    [['ann'], 'cellhouse --help'],
    [['--users', 'ann'], 'cellhouse --help'],
  ])('refuses %j', (words, message) => {
    expect(() => forgetArguments(words)).toThrow(message);
  });
});
