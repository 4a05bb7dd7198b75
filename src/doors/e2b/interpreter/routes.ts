/** The code interpreter of a sandbox, which E2B serves at port 49999. */
import { DomainError, type ErrorCode } from '../../../domain/errors.ts';
import { refusalOf } from '../../../service/refusal.ts';
import type { DoorDeps } from '../../openDoor.ts';
import { BodyError } from '../../shared/body.ts';
import { findRoute, type Route } from '../../shared/findRoute.ts';
import { answerJson } from '../../shared/jsonAnswer.ts';
import type { SandboxCall } from '../sandbox.ts';
import { answerRefusal, answerUnprocessable, RefusedError } from './answer.ts';
import { createContext, deleteContext, openContexts, restartContext } from './contexts.ts';
import { execute } from './execute.ts';

/** Returns the body of an answer with 200. Undefined: the request has been answered already. */
type Answer = (sandbox: SandboxCall, deps: DoorDeps, id: string) => Promise<unknown>;

const ROUTES: readonly Route<Answer>[] = [
  { path: /^\/health$/, methods: { GET: async () => 'OK' } },
  { path: /^\/execute$/, methods: { POST: execute } },
  { path: /^\/contexts$/, methods: { GET: openContexts, POST: createContext } },
  {
    path: /^\/contexts\/([^/]+)$/,
    methods: {
      DELETE: async (sandbox, _deps, id) => {
        await deleteContext(sandbox, id);
        return null;
      },
    },
  },
  {
    path: /^\/contexts\/([^/]+)\/restart$/,
    methods: {
      POST: async (sandbox, _deps, id) => {
        await restartContext(sandbox, id);
        return null;
      },
    },
  },
];

/** Errors that may mean that the sandbox has ended. They are left to `inSandbox` (`../sandbox.ts`). */
const GONE: ReadonlySet<ErrorCode> = new Set(['NOT_FOUND', 'SESSION_ENDED', 'UNAUTHENTICATED']);

export async function serveInterpreter(sandbox: SandboxCall, deps: DoorDeps): Promise<void> {
  const { res } = sandbox.call;
  const found = findRoute(ROUTES, sandbox.call);
  if (found === null) return answerJson(res, 404, { detail: 'Not Found' });
  if (found.type === 'other-methods') {
    res.setHeader('Allow', found.allowed.join(', '));
    return answerJson(res, 405, { detail: 'Method Not Allowed' });
  }
  try {
    const value = await found.serve(sandbox, deps, found.id);
    if (value !== undefined) answerJson(res, 200, value);
  } catch (error: unknown) {
    if (res.headersSent || res.destroyed) throw error;
    refuse(sandbox, error);
  }
}

/** @throws the error, if the interpreter has no answer for it */
function refuse({ call: { res } }: SandboxCall, error: unknown): void {
  if (error instanceof RefusedError) answerRefusal(res, error.status, error.message);
  else if (error instanceof BodyError) answerUnprocessable(res, error);
  else if (error instanceof DomainError && !GONE.has(error.code)) {
    const { status, message, headers } = refusalOf(error);
    answerRefusal(res, status, message, headers);
  } else throw error;
}
