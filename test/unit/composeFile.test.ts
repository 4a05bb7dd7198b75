import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SET_BY_COMPOSE, withSettings } from '../../src/config/composeFile.ts';
import { SETTINGS } from '../../src/config/config.ts';

const FILE = readFileSync(new URL('../../docker-compose.yml', import.meta.url), 'utf8');

/** The variables of the gateway's container, each with its value. A variable without a value is passed on. */
function environmentOfGateway(): Map<string, string> {
  const [, gateway = ''] = FILE.split('\n    environment:\n');
  const [block = ''] = gateway.split(/^ {4}\S/m);
  const variables = block.matchAll(/^ {6}([A-Z_]+):(?: (.+))?$/gm);
  return new Map([...variables].map(([, name = '', value = '']) => [name, value]));
}

describe('docker-compose.yml', () => {
  it('passes on every setting that it does not set itself', () => {
    const environment = environmentOfGateway();
    const isPassed = ({ name }: { name: string }) => environment.get(name) === '';
    const dropped = Object.entries(SETTINGS).filter(([, setting]) => !isPassed(setting));
    expect(dropped.map(([field]) => field)).toEqual(Object.keys(SET_BY_COMPOSE));
  });

  it('is what npm run settings makes, which adds a new setting to it', () => {
    expect(withSettings(FILE)).toBe(FILE);
    const grown = withSettings(FILE, { ...SETTINGS, newest: { name: 'NEWEST' } });
    expect(grown).toContain('\n      NEWEST:\n');
    expect(grown.replace('      NEWEST:\n', '')).toBe(FILE);
  });

  it('must have the comment at which the list of settings begins', () => {
    expect(() => withSettings(FILE.replaceAll('# ', '#'))).toThrow('where its list begins');
  });
});
