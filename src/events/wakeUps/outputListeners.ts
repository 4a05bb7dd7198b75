import type { OutputsAdded } from '../store/eventStore.ts';

type Wake = () => void;

/** The listeners for outputs, by execution and by session. An entry exists only while somebody listens. */
export function createOutputListeners() {
  const byExecution = new Map<string, Set<Wake>>();
  const bySession = new Map<string, Set<Wake>>();
  return {
    onExecution: (id: string, wake: Wake) => add(byExecution, id, wake),
    onSession: (id: string, wake: Wake) => add(bySession, id, wake),
    wake: ({ executionIds, sessionIds }: OutputsAdded) => {
      for (const id of new Set(executionIds)) callAll(byExecution.get(id));
      for (const id of new Set(sessionIds)) callAll(bySession.get(id));
    },
    wakeAll: () => {
      for (const wakes of [...byExecution.values(), ...bySession.values()]) callAll(wakes);
    },
    clear: () => {
      byExecution.clear();
      bySession.clear();
    },
  };
}

function add(map: Map<string, Set<Wake>>, id: string, wake: Wake): () => void {
  // A new function for each call, so that adding the same listener twice gives two entries.
  const own: Wake = () => wake();
  const wakes = map.get(id) ?? new Set<Wake>();
  map.set(id, wakes.add(own));
  return () => {
    wakes.delete(own);
    if (wakes.size === 0 && map.get(id) === wakes) map.delete(id);
  };
}

function callAll(wakes: ReadonlySet<Wake> | undefined): void {
  // A copy, because listeners may be added or removed during the calls.
  for (const wake of [...(wakes ?? [])]) wake();
}
