/** What a user does with contexts. `check/checkContexts.ts` judges what comes of it. */
import type { CallRecord } from '../history.ts';
import { type Act, type Acting, submitAndFollow, submitAndInterrupt } from './acting.ts';

/** Few, so that a context is often used again. */
const NAMES: readonly string[] = ['a', 'b'];
/** How often the user creates a context that is believed to be open. It gets that one, if it still is. */
const AGAIN_SHARE = 0.5;

type InContext = (user: Acting, contextId: string) => Promise<CallRecord | undefined>;

const IN_CONTEXT: readonly { readonly weight: number; readonly act: InContext }[] = [
  {
    weight: 10,
    act: ({ name, calls, cell }, contextId) => calls.execute(name, cell('counter'), contextId),
  },
  {
    weight: 3,
    act: async (user, contextId) => void (await submitAndFollow(user, 'stream', contextId)),
  },
  {
    weight: 2,
    act: async (user, contextId) => void (await submitAndInterrupt(user, 'endless', contextId)),
  },
  {
    weight: 2,
    act: ({ name, calls, cell }, contextId) => calls.execute(name, cell('runaway'), contextId),
  },
  { weight: 2, act: ({ name, calls }, contextId) => calls.restartKernel(name, contextId) },
];

export const contextActs: readonly Act[] = [
  { weight: 20, act: useContext },
  { weight: 8, act: besideEachOther },
  { weight: 4, act: deleteOne },
];

async function useContext(user: Acting): Promise<void> {
  const found = await contextOf(user);
  if (found) noteEnd(user, await user.random.pickWeighted(IN_CONTEXT)?.act(user, found));
}

/** Two cells in a context, two in the default one, and a command: all at the same time. */
async function besideEachOther(user: Acting): Promise<void> {
  const { name, calls, cell } = user;
  const contexts = [await contextOf(user), undefined];
  const ran = await Promise.all([
    ...contexts.flatMap((contextId) =>
      (['counter', 'stream'] as const).map((kind) => calls.execute(name, cell(kind), contextId)),
    ),
    calls.execute(name, cell('shell-stream')),
  ]);
  for (const call of ran) noteEnd(user, call);
}

async function deleteOne({ name, calls, random, contexts }: Acting): Promise<void> {
  const found = random.pick([...contexts]);
  if (!found) return;
  const [contextName, id] = found;
  const { answer } = await calls.deleteContext(name, id);
  if (answer) contexts.delete(contextName);
}

/** An open context, as far as the user knows. Undefined: none could be created. */
async function contextOf({ name, calls, random, contexts }: Acting): Promise<string | undefined> {
  const picked = random.pick(NAMES) ?? '';
  const known = contexts.get(picked);
  if (known !== undefined && random.next() >= AGAIN_SHARE) return known;
  const { answer } = await calls.createContext(name, picked);
  if (answer?.id) contexts.set(picked, answer.id);
  return answer?.id ?? undefined;
}

/** Forgets a context that is no longer open, because its session has ended. */
function noteEnd({ contexts }: Acting, call: CallRecord | undefined): void {
  if (call?.refusal !== 'NOT_FOUND') return;
  for (const [name, id] of contexts) if (id === call.contextId) contexts.delete(name);
}
