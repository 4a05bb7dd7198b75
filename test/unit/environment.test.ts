import { describe, expect, it } from 'vitest';
import {
  decideEnvironment,
  type EnvironmentCommand,
  type EnvironmentEvent,
  type EnvironmentSpec,
  evolveEnvironment,
  isEnvironmentName,
} from '../../src/domain/environment.ts';
import type { EnvironmentId } from '../../src/domain/ids.ts';
import { hashOf, recipeOf } from '../../src/environments/recipe.ts';
import { newId } from '../../src/process/newId.ts';
import { deciderSpecification } from '../support/deciderSpecification.ts';
import { fc } from '../support/seeded.ts';

const at = '2026-01-02T03:04:05.678Z';
const facts = {
  environmentId: newId<EnvironmentId>(),
  name: 'science',
  number: 2,
  reason: 'asked',
  spec: {
    apt: ['units'],
    pip: ['alpha==1.0'],
    index: 'https://index.example/simple',
    setup: null,
    preload: ['alpha'],
  },
  baseImageId: 'sha256:base',
  hash: 'f'.repeat(64),
} as const;
const built = {
  imageId: 'sha256:built',
  bytes: 1_000,
  packages: [{ name: 'alpha', version: '1.0', from: 'pip' }],
} as const;
const failed = { failure: 'pip found no alpha.', lastLines: 'ERROR: no alpha\n' };

const request: EnvironmentCommand = { type: 'RequestEnvironment', at, ...facts };
const recordBuild: EnvironmentCommand = { type: 'RecordEnvironmentBuild', at, ...built };
const recordFailure: EnvironmentCommand = { type: 'RecordBuildFailure', at, ...failed };
const remove: EnvironmentCommand = { type: 'RemoveEnvironment', at, reason: 'removed' };

const requested: EnvironmentEvent = { type: 'EnvironmentRequested', data: { at, ...facts } };
const ready: EnvironmentEvent = { type: 'EnvironmentBuilt', data: { at, ...built } };
const broken: EnvironmentEvent = { type: 'EnvironmentBuildFailed', data: { at, ...failed } };
const removed: EnvironmentEvent = { type: 'EnvironmentRemoved', data: { at, reason: 'removed' } };

const { given, play } = deciderSpecification({
  decide: decideEnvironment,
  evolve: evolveEnvironment,
});

describe('a version of an environment', () => {
  it('given none, when requested: it is being built, with the facts of the request', () => {
    given().when(request).then(requested);
    const { environmentId: id, ...rest } = facts;
    expect(given(requested).state).toEqual({
      ...{ id, version: 1, ...rest, state: 'BUILDING', requestedAt: new Date(at) },
      ...{ finishedAt: null, imageId: null, bytes: null, packages: [] },
      ...{ failure: null, lastLines: null, removedAt: null, removeReason: null },
    });
  });

  it('given none, when anything else comes: it is refused', () => {
    for (const command of [recordBuild, recordFailure, remove])
      given()
        .when(command)
        .thenThrows(/not asked for/);
  });

  it('given one, when asked for again: it is refused', () => {
    given(requested)
      .when(request)
      .thenThrows(/BUILDING/);
  });

  it('given one that is being built, when the build ends: it is READY with its packages, or FAILED with its reason', () => {
    given(requested).when(recordBuild).then(ready);
    expect(given(requested, ready).state).toMatchObject({
      ...built,
      state: 'READY',
      finishedAt: new Date(at),
      failure: null,
    });
    given(requested).when(recordFailure).then(broken);
    expect(given(requested, broken).state).toMatchObject({
      ...failed,
      state: 'FAILED',
      imageId: null,
    });
  });

  it('given one whose build has ended, when it ends again: it is refused', () => {
    for (const command of [recordBuild, recordFailure]) {
      given(requested, ready).when(command).thenThrows(/READY/);
      given(requested, broken)
        .when(command)
        .thenThrows(/FAILED/);
    }
  });

  it('given one in any state, when removed: that is recorded once, and no later end of a build is', () => {
    for (const history of [[requested], [requested, ready], [requested, broken]]) {
      given(...history)
        .when(remove)
        .then(removed);
      for (const command of [remove, recordBuild, recordFailure])
        given(...history, removed)
          .when(command)
          .then();
    }
    expect(given(requested, ready, removed).state).toMatchObject({
      ...{ state: 'READY', removedAt: new Date(at), removeReason: 'removed' },
    });
  });

  it('its version counts its events: at most one is the end of a build, and none follows its removal', () => {
    const commands = fc.constantFrom(recordBuild, recordFailure, remove);
    fc.assert(
      fc.property(fc.array(commands), (rest) => {
        const recorded = play([request, ...rest]);
        for (const [index, [, state]] of recorded.entries()) expect(state.version).toBe(index + 1);
        const types = recorded.map(([{ type }]) => type);
        const ends = types.filter((type) => /Built|BuildFailed/.test(type));
        expect(ends.length).toBeLessThanOrEqual(1);
        const end = types.indexOf('EnvironmentRemoved');
        expect(end === -1 || end === types.length - 1).toBe(true);
      }),
    );
  });
});

describe('the name of an environment', () => {
  it.each(['science', 'science-2', 'a', '3d', 'a'.repeat(63)])('may be %s', (name) => {
    expect(isEnvironmentName(name)).toBe(true);
  });

  it.each(['', 'Science', '-a', 'a-', 'a_b', 'a.b', 'a/b', 'a b', 'a\n', 'ä', 'a'.repeat(64)])(
    'may not be %j',
    (name) => {
      expect(isEnvironmentName(name)).toBe(false);
    },
  );
});

describe('the hash of a version', () => {
  const { spec, baseImageId } = facts;
  const others: EnvironmentSpec = {
    ...{ apt: ['hello'], pip: ['alpha==2.0'], index: null, setup: 'echo', preload: ['beta'] },
  };
  const hash = hashOf(spec, baseImageId, null);

  it.each(Object.keys(others) as (keyof EnvironmentSpec)[])(
    'differs if only %s differs',
    (field) => {
      expect(hashOf({ ...spec, [field]: others[field] }, baseImageId, null)).not.toBe(hash);
    },
  );

  it('differs if the worker image or the content of the index folder differs', () => {
    expect(hashOf(spec, 'sha256:other', null)).not.toBe(hash);
    expect(hashOf(spec, baseImageId, 'e'.repeat(64))).not.toBe(hash);
  });

  it('is the same for the same facts', () => {
    expect(hashOf({ ...spec }, baseImageId, null)).toBe(hash);
  });
});

it('Each command of a build has one stream, so that the last line of a failed one is its last', () => {
  const spec = { ...facts.spec, setup: 'true' };
  const { text } = recipeOf({ spec, baseImageId: 'sha256:base', labels: 'LABEL a=b' });
  const commands = text.split('\n').filter((line) => line.startsWith('RUN '));
  expect(commands).toHaveLength(5);
  for (const command of commands) expect(command).toMatch(/^RUN exec 2>&1 && /);
});
