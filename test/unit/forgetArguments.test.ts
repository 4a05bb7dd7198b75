import { describe, expect, it } from 'vitest';
import { forgetArguments } from '../../src/cli/forgetArguments.ts';

describe('forgetArguments', () => {
  it('reads a user, with or without a tenant, or a tenant', () => {
    expect(forgetArguments(['--user', 'ann'])).toEqual({ tenant: 'default', userUuid: 'ann' });
    expect(forgetArguments(['--user=ann', '--tenant', 'a'])).toEqual({
      tenant: 'a',
      userUuid: 'ann',
    });
    expect(forgetArguments(['--tenant', 'a'])).toEqual({ tenant: 'a', userUuid: null });
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
