/**
 * A runtime whose workers live in this process, with real sockets and the real protocol, but without containers and
 * Python. So a property test can have hundreds of them. Only the code {@link HOLD} takes time; any other code ends at
 * once.
 */
import { newId } from '../../src/process/newId.ts';
import { socketAddress } from '../../src/runtime/docker/socketAddress.ts';
import type { ListedWorker, Runtime } from '../../src/runtime/runtime.ts';
import { okReply, status, verdict } from './frames.ts';
import { type ScriptedAgent, startScriptedAgent } from './scriptedAgent.ts';

/** Code that runs until it is interrupted or released. */
export const HOLD = 'hold';

export interface ProgrammedRuntime {
  readonly runtime: Runtime;
  /** Ids of the executions that were begun, over all workers. An execution that was begun twice is listed twice. */
  readonly begun: readonly string[];
  /** The environment variables that the kernel had when it began an execution, by the execution's id. */
  readonly variables: ReadonlyMap<string, Readonly<Record<string, string>>>;
  /** While it is set, every agent answers to variables with this status. */
  variablesStatus: number | null;
  /** Makes all present agents older than environment variables. */
  makeOld(): void;
  /** From now on {@link HOLD} runs until it is released. */
  hold(): void;
  /** Releases all held executions; from now on {@link HOLD} ends at once, too. */
  letGo(): void;
  close(): Promise<void>;
}

interface Kernel {
  readonly agent: ScriptedAgent;
  isOld: boolean;
  letGo(): void;
}

export function createProgrammedRuntime(): ProgrammedRuntime {
  const containers = new Map<string, { readonly listed: ListedWorker; readonly kernel: Kernel }>();
  const begun: string[] = [];
  const variables = new Map<string, Readonly<Record<string, string>>>();
  let isHolding = false;

  async function end(containerId: string): Promise<void> {
    const found = containers.get(containerId);
    containers.delete(containerId);
    await found?.kernel.agent.close();
  }

  const runtime: Runtime = {
    name: 'programmed',
    imageId: async (reference) => reference,
    create: async ({ workerId }) => {
      const agent = await startScriptedAgent();
      const kernel = runKernel(agent, {
        isHeld: (code) => isHolding && code === HOLD,
        onBegin: (id, given) => {
          begun.push(id);
          variables.set(id, given);
        },
        variablesStatus: () => made.variablesStatus,
      });
      const containerId = newId();
      const listed = { containerId, workerId, isRunning: true };
      containers.set(containerId, { listed, kernel });
      return { containerId, location: agent.socketPath };
    },
    addressOf: ({ socketPath }) => (socketPath === null ? null : socketAddress(socketPath)),
    list: async () => [...containers.values()].map(({ listed }) => listed),
    inspect: async (id) => {
      const found = containers.get(id);
      return found ? { ...found.listed, end: null } : null;
    },
    setCpuShare: async () => undefined,
    remove: async ({ containerId }) => {
      if (containerId !== null) await end(containerId);
    },
    watch: () => ({ close: () => undefined }),
  };
  const made: ProgrammedRuntime = {
    runtime,
    begun,
    variables,
    variablesStatus: null,
    makeOld: () => {
      for (const { kernel } of containers.values()) kernel.isOld = true;
    },
    hold: () => {
      isHolding = true;
    },
    letGo: () => {
      isHolding = false;
      for (const { kernel } of containers.values()) kernel.letGo();
    },
    close: async () => {
      await Promise.all([...containers.keys()].map(end));
    },
  };
  return made;
}

interface KernelRules {
  readonly isHeld: (code: string) => boolean;
  readonly onBegin: (id: string, variables: Readonly<Record<string, string>>) => void;
  readonly variablesStatus: () => number | null;
}

interface Fields {
  readonly msg_id?: string;
  readonly variables?: Readonly<Record<string, string>>;
}

/** Behaves as an agent does (docs/worker-protocol.md): runs each msg_id once, and interrupts by msg_id. */
function runKernel(
  agent: ScriptedAgent,
  { isHeld, onBegin, variablesStatus }: KernelRules,
): Kernel {
  let variables: Readonly<Record<string, string>> = {};
  const known = new Set<string>();
  let running: string | null = null;
  const kernel: Kernel = {
    agent,
    isOld: false,
    letGo: () => running !== null && end(running, 'finished'),
  };

  function end(parent: string, outcome: 'finished' | 'interrupted'): void {
    running = null;
    const at = Date.now();
    const metadata = verdict(outcome, { started_at: at, finished_at: at });
    agent.append((seq) => status('idle', { parent, seq, at }));
    agent.append((seq) => okReply({ parent, seq, at, metadata }));
  }

  function execute(id: string, code: string): void {
    if (known.has(id)) return;
    known.add(id);
    onBegin(id, variables);
    running = id;
    agent.append((seq) => status('busy', { parent: id, seq, at: Date.now() }));
    if (!isHeld(code)) end(id, 'finished');
  }

  agent.answer = (request, response, body) => {
    const { msg_id: id = '', ...fields } = JSON.parse(body || '{}') as Fields;
    if (request.url === '/variables') {
      const status = kernel.isOld ? 404 : variablesStatus();
      if (status === null) variables = fields.variables ?? {};
      response.writeHead(status ?? 200).end(JSON.stringify({ count: 0 }));
      return;
    }
    const isKnown = known.has(id);
    const isRunning = running === id;
    // An interrupted request that arrives later must not run.
    known.add(id);
    response.end(JSON.stringify({ interrupted: isRunning, known: isKnown }));
    if (isRunning) end(id, 'interrupted');
  };
  void readRequests(agent, execute);
  return kernel;
}

/** Ends when the agent closes, since it receives nothing after that. */
async function readRequests(
  agent: ScriptedAgent,
  execute: (id: string, code: string) => void,
): Promise<void> {
  for (let count = 0; ; count += 1) {
    await agent.receivedAtLeast(count + 1);
    const { header, content } = agent.received[count] as {
      readonly header?: { readonly msg_type: string; readonly msg_id: string };
      readonly content?: { readonly code: string };
    };
    if (header?.msg_type === 'execute_request') execute(header.msg_id, content?.code ?? '');
  }
}
