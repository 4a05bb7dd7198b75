import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { tokenArguments } from '../../src/cli/token.ts';

const words = (line: string) => line.split(' ').filter((word) => word !== '');
const TERMINAL = { isForE2b: false, outputPath: null };

describe('tokenArguments', () => {
  it('reads the facts of a token to be created', () => {
    expect(
      tokenArguments(
        words(
          'create --name a --role USER --tenant blue --user-prefix ann- --door files --expires-in 30d --shape e2b --output f',
        ),
      ),
    ).toEqual({
      ...{ type: 'create', name: 'a', role: 'USER', tenant: 'blue', userUuid: null },
      ...{ userPrefix: 'ann-', door: 'files', expiresInMs: 30 * 86_400_000 },
      secret: { isForE2b: true, outputPath: resolve('f') },
    });
    expect(tokenArguments(words('create --name=a --role=auditor'))).toMatchObject({
      ...{ role: 'AUDITOR', tenant: null, userUuid: null, expiresInMs: null, secret: TERMINAL },
    });
  });

  it('reads the other commands', () => {
    expect(tokenArguments(['list'])).toEqual({ type: 'list', isJson: false });
    expect(tokenArguments(['list', '--json'])).toEqual({ type: 'list', isJson: true });
    expect(tokenArguments(['revoke', 'a'])).toEqual({ type: 'revoke', token: 'a' });
    expect(tokenArguments(words('rotate a --former-valid-seconds 60'))).toEqual({
      ...{ type: 'rotate', token: 'a', formerValidMs: 60_000, secret: TERMINAL },
    });
  });

  it.each([
    ['', 'needs create, list'],
    ['remove a', 'needs create, list'],
    ['create --name a', '--role are needed'],
    ['create --name a --role root', 'not "root"'],
    ['create --name a --role user --expires-in 0d', 'not "0d"'],
    ['create --name a --role user --expires-in 1w', 'not "1w"'],
    ['create --name a --role user --shape b', 'not "b"'],
    ['create --name a --role user --output=', 'name of a file'],
    // No secret is ever an argument.
    ['create --name a --role user --secret s', 'cellhouse --help'],
    ['list more', 'cellhouse --help'],
    ['revoke', 'Name one token'],
    ['revoke a b', 'Name one token'],
    ['rotate a --former-valid-seconds -1', 'cellhouse --help'],
    ['rotate a --former-valid-seconds 1.5', 'not "1.5"'],
  ])('refuses "%s"', (line, message) => {
    expect(() => tokenArguments(words(line))).toThrow(message);
  });
});
