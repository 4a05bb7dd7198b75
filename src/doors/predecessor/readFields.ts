/** Reads the fields of a body, and says of a wrong one what the predecessor's validation (pydantic) said. */

import type { z } from 'zod';
import { isJsonObject } from '../../domain/exactJson.ts';
import { singleUser } from '../../domain/users.ts';
import type { Principal } from '../../service/principal.ts';
import type { DoorCall } from '../openDoor.ts';
import { BodyError, checked, jsonIn } from '../shared/body.ts';
import { type Target, targetOf } from '../shared/target.ts';

/** What the predecessor answered: a status, and an object as JSON. */
export interface Reply {
  readonly status: number;
  readonly body: object;
}

/** An answer that only says something. */
export function detail(status: number, text: unknown): Reply {
  return { status, body: { detail: text } };
}

export const NO_WORKER = 'No available workers. Please try again later.';
export const INITIALIZING = 'Worker pool is initializing. Please try again shortly.';
/** The worker was lost, or the gateway is going: nobody can say whether the code has run to its end. */
export const NO_CONNECTION = 'Gateway Timeout: Could not connect to the execution worker.';
export const WRONG_TOKEN = 'Invalid or missing authentication token';
export const INTERNAL = 'Internal Server Error';

/** Where the code of a `user_uuid` runs. The user that a token is for has the default context. */
export function targetOfUser(principal: Principal, userUuid: string): Target {
  const own = singleUser(principal.users);
  const isOwn = own !== null && (userUuid === own || userUuid === '');
  return targetOf(principal, isOwn ? null : userUuid);
}

/** Why a part of the request is not accepted. */
interface Problem {
  readonly type: string;
  /** Where: `body` or `header`, and the name. */
  readonly loc: readonly PropertyKey[];
  readonly msg: string;
  readonly input: unknown;
  readonly ctx?: object;
}

/** @param schema of an object of strings @throws BodyError, which is answered with {@link misunderstood} */
export async function readFields<Schema extends z.ZodType>(
  { req, readBody }: Pick<DoorCall, 'req' | 'readBody'>,
  schema: Schema,
): Promise<z.output<Schema>> {
  const text = await readBody();
  const isText = text !== '' && !isJson(req.headers['content-type']);
  return checked(isText ? text : jsonIn(text), schema);
}

/** What is answered to a wrong body. @throws any other error */
export function misunderstood(error: unknown): Reply {
  if (!(error instanceof BodyError)) throw error;
  const { body, issues } = error;
  const problems = issues.map(({ path }): Problem => {
    const loc = ['body', ...path];
    const input = isJsonObject(body) ? body[String(path[0])] : body;
    if (input === undefined) return missing(loc, body ?? null);
    const [type, msg] = path.length === 0 ? NO_OBJECT : NO_TEXT;
    return { type, loc, msg, input };
  });
  return unprocessable(...(problems.length === 0 ? [NO_JSON] : problems));
}

/** A request that is not understood. */
export function unprocessable(...problems: readonly Problem[]): Reply {
  return detail(422, problems);
}

export function missing(loc: Problem['loc'], input: unknown): Problem {
  return { type: 'missing', loc, msg: 'Field required', input };
}

const NO_TEXT = ['string_type', 'Input should be a valid string'] as const;
const NO_OBJECT = [
  'model_attributes_type',
  'Input should be a valid dictionary or object to extract fields from',
] as const;
const NO_JSON: Problem = {
  type: 'json_invalid',
  loc: ['body', 0],
  msg: 'JSON decode error',
  input: {},
  ctx: { error: 'Expecting value' },
};

/** A body of no type counts as JSON, too. */
function isJson(type: string | undefined): boolean {
  return type === undefined || /^application\/([\w.-]+\+)?json\s*(;|$)/i.test(type);
}
