/** Reads the fields of a body, and says of a wrong one what the predecessor's validation (pydantic) said. */
import type { DoorCall } from '../openDoor.ts';
import { isFields } from '../shared/fields.ts';
import { detail, type Reply } from './reply.ts';

export type Fields<Name extends string> = Readonly<Record<Name, string>>;

/** Why a part of the request is not accepted. */
interface Problem {
  readonly type: string;
  /** Where: `body` or `header`, and the name. */
  readonly loc: readonly (string | number)[];
  readonly msg: string;
  readonly input: unknown;
  readonly ctx?: object;
}

/** A request that is not understood. */
export function unprocessable(...problems: readonly Problem[]): Reply {
  return detail(422, problems);
}

/** @returns the fields, each a string; or what to answer */
export async function readFields<const Name extends string>(
  { req, readBody }: Pick<DoorCall, 'req' | 'readBody'>,
  names: readonly Name[],
): Promise<{ readonly fields: Fields<Name> } | { readonly refused: Reply }> {
  const text = await readBody();
  if (text === '') return { refused: unprocessable(missing(['body'], null)) };
  const body = isJson(req.headers['content-type']) ? parsed(text) : { value: text };
  if (body === null) return { refused: unprocessable(NO_JSON) };
  if (!isFields(body.value)) return { refused: unprocessable(noObject(body.value)) };
  const given = body.value;
  const problems = names.flatMap((name) => problemOf(given, name));
  if (problems.length > 0) return { refused: unprocessable(...problems) };
  return { fields: given as Fields<Name> };
}

export function missing(loc: Problem['loc'], input: unknown): Problem {
  return { type: 'missing', loc, msg: 'Field required', input };
}

function problemOf(given: Readonly<Record<string, unknown>>, name: string): Problem[] {
  const loc = ['body', name];
  if (!Object.hasOwn(given, name)) return [missing(loc, given)];
  const input = given[name];
  if (typeof input === 'string') return [];
  return [{ type: 'string_type', loc, msg: 'Input should be a valid string', input }];
}

const NO_JSON: Problem = {
  type: 'json_invalid',
  loc: ['body', 0],
  msg: 'JSON decode error',
  input: {},
  ctx: { error: 'Expecting value' },
};

function noObject(input: unknown): Problem {
  const msg = 'Input should be a valid dictionary or object to extract fields from';
  return { type: 'model_attributes_type', loc: ['body'], msg, input };
}

/** A body of no type counts as JSON, too. */
function isJson(type: string | undefined): boolean {
  return type === undefined || /^application\/([\w.-]+\+)?json\s*(;|$)/i.test(type);
}

function parsed(text: string): { readonly value: unknown } | null {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return null;
  }
}
