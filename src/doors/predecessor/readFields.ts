/** Reads the fields of a body, and says of a wrong one what the predecessor's validation (pydantic) said. */
import type { z } from 'zod';
import type { DoorCall } from '../openDoor.ts';
import { BodyError, checked, jsonIn } from '../shared/body.ts';
import { isFields } from '../shared/fields.ts';
import { detail, type Reply } from './reply.ts';

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
    const input = isFields(body) ? body[String(path[0])] : body;
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
