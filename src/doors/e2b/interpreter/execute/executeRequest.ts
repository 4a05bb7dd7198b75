import type { SandboxCall } from '../../surface.ts';
import { readObject, textIn, textsIn, UnprocessableError } from '../body.ts';

/** What `POST /execute` asks for. */
export interface InterpreterRequest {
  readonly code: string;
  readonly contextId: string | null;
  readonly language: string | null;
  readonly variables: readonly { readonly name: string; readonly value: string }[];
}

/** @throws UnprocessableError */
export async function readExecuteRequest({ call }: SandboxCall): Promise<InterpreterRequest> {
  const body = await readObject(call);
  const { code } = body;
  if (typeof code !== 'string')
    throw new UnprocessableError('code', 'Input should be a valid string');
  return {
    code,
    contextId: textIn(body, 'context_id'),
    language: textIn(body, 'language'),
    variables: Object.entries(textsIn(body, 'env_vars')).map(([name, value]) => ({ name, value })),
  };
}
