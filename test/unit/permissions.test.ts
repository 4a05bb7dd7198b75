/** What each role may call. Every call of every protocol passes this check. */
import { describe, expect, it } from 'vitest';
import { ROLES } from '../../src/domain/token.ts';
import { PERMISSIONS, type Permission } from '../../src/service/access/permissions.ts';
import { OPERATIONS } from '../../src/service/operations.ts';
import { AUTH_TOKEN_HOLDER, type Principal } from '../../src/service/principal.ts';
import { createService } from '../../src/service/service.ts';

type Name = keyof typeof OPERATIONS;
const NAMES = Object.keys(OPERATIONS) as Name[];
/** The operations that auditors may call. These operations change nothing, run nothing, and read no file. */
const FOR_AUDITORS: readonly Name[] = [
  ...(['execution', 'session', 'contexts', 'executions', 'sessions'] as const),
  ...(['sessionAt', 'sessionEvents', 'poolStatus', 'followPoolStatus'] as const),
  ...(['answer', 'me', 'quotas', 'events', 'workers', 'workerEvents'] as const),
  ...(['kernel', 'kernels', 'notebooks', 'environments', 'environment'] as const),
  ...(['sessionById', 'context', 'worker', 'executionEvents', 'environmentPage'] as const),
];
/** The operations whose arguments name no user. Each of them gives only what the principal sees. */
const WITHOUT_USER: readonly Name[] = [
  ...(['interrupt', 'sendInput', 'resizeTerminal', 'execution'] as const),
  ...(['followExecution'] as const),
  ...(['executions', 'sessions', 'workers', 'events', 'poolAt', 'workerEvents'] as const),
  ...(['sessionEvents', 'poolStatus', 'followPoolStatus', 'metrics', 'answer'] as const),
  ...(['me', 'tokens', 'tokenPage', 'createToken', 'rotateToken', 'revokeToken'] as const),
  ...(['quotas', 'setQuota', 'awaitExecution', 'outputPage'] as const),
  ...(['kernel', 'kernels', 'followContext'] as const),
  ...(['notebooks', 'openNotebook', 'changeNotebook', 'closeNotebook'] as const),
  ...(['environments', 'environment', 'createEnvironment', 'removeEnvironment'] as const),
  ...(['followBuild', 'sessionById', 'context', 'worker'] as const),
  ...(['executionEvents', 'environmentPage'] as const),
];
const ANN: Principal = { ...AUTH_TOKEN_HOLDER, role: 'USER', users: { uuid: 'ann' } };
const ALL_OF_A: Principal = { ...ANN, users: { prefix: 'a' } };

/** Without dependencies, an operation that is reached fails in some other way than by a refusal. */
const service = createService({ refusals: { add: () => {} }, database: {} } as never as Parameters<
  typeof createService
>[0]);

/** The answer or the error of a call. Its arguments name `userUuid`, if the arguments of the operation name a user. */
async function call(name: Name, principal: Principal, userUuid: string): Promise<unknown> {
  const method = service[name] as (...args: unknown[]) => unknown;
  try {
    return await method(principal, namedBy(name, userUuid));
  } catch (error: unknown) {
    return error;
  }
}

function namedBy(name: Name, userUuid: string): unknown {
  const { user } = PERMISSIONS[name] as { user?: (arg: unknown) => unknown };
  const request = { userUuid };
  return user?.(request) === userUuid ? request : userUuid;
}

describe.each(ROLES)('a token with the role %s', (role) => {
  it.each(NAMES)('may call %s, or is told that it may not', async (name) => {
    const end = await call(name, { ...AUTH_TOKEN_HOLDER, role }, 'ann');
    const { roles }: Permission = PERMISSIONS[name];
    if (roles.includes(role)) expect(end).not.toMatchObject({ code: 'FORBIDDEN' });
    else expect(end).toMatchObject({ code: 'FORBIDDEN', message: expect.stringContaining(name) });
  });
});

it('an operator may call everything, and an auditor only what FOR_AUDITORS lists', () => {
  const rolesOf = (name: Name): Permission['roles'] => PERMISSIONS[name].roles;
  expect(NAMES.filter((name) => rolesOf(name).includes('OPERATOR'))).toEqual(NAMES);
  const forAuditors = NAMES.filter((name) => rolesOf(name).includes('AUDITOR'));
  expect(forAuditors.toSorted()).toEqual(FOR_AUDITORS.toSorted());
});

describe('a token for some users', () => {
  const withUser = NAMES.filter((name) => !WITHOUT_USER.includes(name));

  it.each(withUser)('reaches %s for them alone', async (name) => {
    const { others }: Permission = PERMISSIONS[name];
    const nothing = others === undefined ? { code: 'NOT_FOUND' } : others;
    for (const [principal, own, another] of [
      [ANN, 'ann', 'anna'],
      [ALL_OF_A, 'anna', 'bob'],
    ] as const) {
      const refused = await call(name, principal, another);
      if (nothing === null) expect(refused).toBeNull();
      else expect(refused).toMatchObject(nothing);
      const reached = await call(name, principal, own);
      expect(reached).not.toMatchObject({ code: 'NOT_FOUND' });
      expect(reached).not.toEqual(others ?? null);
    }
  });

  it.each(WITHOUT_USER)('%s names no user', (name) => {
    expect((PERMISSIONS[name] as Permission).user).toBeUndefined();
  });
});
