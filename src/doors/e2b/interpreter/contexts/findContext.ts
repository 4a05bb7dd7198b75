import type { SandboxCall } from '../../surface.ts';
import { noContext } from '../refused.ts';
import { type ShownContext, shownContext } from './contextNames.ts';
import type { Language } from './languages.ts';

/** What clients may call the default context of Python, beside its id. */
const DEFAULT = 'default';

/** A context in which code can be run. */
export interface FoundContext {
  /** Null: the default one. */
  readonly id: string | null;
  readonly language: Language;
}

/** The default context is always there, and Python's. */
export const DEFAULT_CONTEXT: FoundContext = { id: null, language: 'python' };

/** The open contexts of the sandbox: the default one first, then in the order in which they were made. */
export async function openContexts({ call, userUuid }: SandboxCall): Promise<ShownContext[]> {
  const all = await call.service.contexts(userUuid);
  return all.filter(({ status }) => status !== 'ENDING').map(shownContext);
}

/** @throws RefusedError with 404 */
export async function findContext(sandbox: SandboxCall, id: string): Promise<FoundContext> {
  if (id === DEFAULT || id === sandbox.session.id) return DEFAULT_CONTEXT;
  const found = (await openContexts(sandbox)).find((each) => each.id === id);
  if (found === undefined) throw noContext(id);
  return found;
}
