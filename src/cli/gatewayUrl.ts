import type { Config } from '../config/config.ts';
import { wrong } from './tokenArguments.ts';

/**
 * The address of a gateway, without a slash at its end.
 * @param name of the option or the variable that has it
 * @throws Error that says what is wrong
 */
export function urlOf(name: string, given: string): string {
  const url = URL.canParse(given) ? new URL(given) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '')
    throw wrong(`${name} must be like https://code.example.com`, given);
  return given.replace(/\/+$/, '');
}

/** Where a gateway with these settings listens. */
export function listeningUrl({ host, port }: Pick<Config, 'host' | 'port'>): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
