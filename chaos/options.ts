/** Parses the arguments after `npm run chaos --`. */
import { parseArgs } from 'node:util';

export interface Options {
  readonly minutes: number;
  readonly seed: number;
  readonly gateways: number;
  readonly users: number;
}

const MAX_MINUTES = 600;
const MAX_GATEWAYS = 5;
const MAX_USERS = 100;
const MAX_SEED = 2 ** 32 - 1;

/** @throws Error that says what is allowed */
export function parseOptions(args: readonly string[], randomSeed: number): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: 'string', default: '3' },
      seed: { type: 'string', default: String(randomSeed) },
      gateways: { type: 'string', default: '3' },
      users: { type: 'string', default: '8' },
    },
  });
  return {
    minutes: number('minutes', values.minutes, 0.1, MAX_MINUTES),
    seed: whole('seed', values.seed, 0, MAX_SEED),
    gateways: whole('gateways', values.gateways, 1, MAX_GATEWAYS),
    users: whole('users', values.users, 1, MAX_USERS),
  };
}

function number(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= min && value <= max) return value;
  throw new Error(`--${name} is ${text}, but must be a number from ${min} to ${max}.`);
}

function whole(name: string, text: string, min: number, max: number): number {
  const value = number(name, text, min, max);
  if (Number.isInteger(value)) return value;
  throw new Error(`--${name} is ${text}, but must be a whole number.`);
}
