/** Which options of two sessions differ, by name. */
import { describe, expect, it } from 'vitest';
import { differences, isPlain, NO_OPTIONS } from '../../src/domain/session.ts';

const given = {
  metadata: { team: 'red', task: '7' },
  environmentVariableNames: ['LANG', 'TOKEN'],
  idleTimeoutMs: 2_000,
  maxLifeMs: 60_000,
  egressAllow: ['a.b', 'c.d:8080'],
  environment: 'science',
};

describe('the options of two sessions', () => {
  it('do not differ if all are the same, whatever the order of the metadata', () => {
    const same = { ...given, metadata: { task: '7', team: 'red' } };
    expect(differences(given, same)).toEqual([]);
    expect(isPlain(given)).toBe(false);
    expect(isPlain(NO_OPTIONS)).toBe(true);
  });

  it('differ by each option that only one has, or that has another value', () => {
    const names = [
      'environment',
      'idleTimeoutMs',
      'maxLifeMs',
      'egressAllow',
      'metadata.task',
      'metadata.team',
      'environmentVariables.LANG',
      'environmentVariables.TOKEN',
    ];
    expect(differences(given, NO_OPTIONS)).toEqual(names);
    expect(differences(NO_OPTIONS, given)).toEqual(names);
    const other = {
      ...given,
      metadata: { team: 'blue', task: '7' },
      environmentVariableNames: ['LANG'],
    };
    expect(differences(given, other)).toEqual(['metadata.team', 'environmentVariables.TOKEN']);
    const nothing = { ...NO_OPTIONS, egressAllow: [] };
    expect(differences(nothing, NO_OPTIONS)).toEqual(['egressAllow']);
    expect(differences(nothing, { ...nothing, egressAllow: ['a.b'] })).toEqual(['egressAllow']);
  });

  it('differ by metadata whose key is a built-in property of each object', () => {
    const odd = { ...NO_OPTIONS, metadata: { constructor: 'x' } };
    expect(differences(odd, NO_OPTIONS)).toEqual(['metadata.constructor']);
  });
});
