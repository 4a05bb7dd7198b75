import { expect, it } from 'vitest';
import { service, serviceArguments } from '../../src/cli/service.ts';

it('names no release by default, has a 2 min limit, and backs up', () => {
  expect(serviceArguments([])).toEqual({
    release: null,
    readyWithinMs: 120_000,
    isBackedUp: true,
  });
});

it('takes a release, a limit, and no backup', () => {
  expect(serviceArguments(['/r/new.tgz', '--ready-within', '5', '--no-backup'])).toEqual({
    release: '/r/new.tgz',
    readyWithinMs: 5_000,
    isBackedUp: false,
  });
});

it.each([
  [['a', 'b'], 'Name one release'],
  [
    ['--ready-within', '0'],
    '--ready-within must be a whole number of seconds from 1 to 99999, not "0"',
  ],
  [['--ready-within', '2m'], 'not "2m"'],
  [['--backup'], 'See cellhouse --help'],
])('refuses %j', (words, message) => {
  expect(() => serviceArguments(words)).toThrow(message);
});

it('an installation refuses --no-backup, which is for upgrades', async () => {
  await expect(service(['install', '--no-backup'])).rejects.toThrow(
    '--no-backup is for service upgrade',
  );
});
