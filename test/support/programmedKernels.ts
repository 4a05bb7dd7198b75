/**
 * Simulates in this process how an agent handles requests (worker-protocol.md). Each context and each command has
 * a lane of its own.
 */
import { errorReply, frame, okReply, status, stream, verdict } from './frames.ts';
import type { ScriptedAgent } from './scriptedAgent.ts';

export interface ProgrammedKernels {
  readonly agent: ScriptedAgent;
  /** Lets all running code end. */
  letGo(): void;
}

/** Code of a cell or command that runs until its input ends. */
export const READ = 'read';

export interface KernelRules {
  readonly isHeld: (code: string) => boolean;
  readonly onBegin: (id: string, found: Found) => void;
  readonly variablesStatus: () => number | null;
  readonly hasNoKernels: () => boolean;
  readonly onResize: (size: string) => void;
  /** Returns what this code prints, or null if nothing. It is not asked about code that begins with {@link SAY}. */
  readonly printed?: (code: string) => string | null;
  /** Whether the agent leaves calls unanswered at the moment. */
  readonly isFrozen: () => boolean;
  /** Whether the agent is of a former release, which does not report the process ids of commands. */
  readonly isFormer: boolean;
}

/** The surroundings in which the code of an execution runs. */
export interface Found {
  readonly variables: Readonly<Record<string, string>>;
  /** Undefined: the context's working directory, or the home folder. */
  readonly directory: string | undefined;
}

interface Asked {
  readonly id: string;
  readonly code: string;
  readonly lane: string;
  readonly isCommand: boolean;
  readonly found: Found;
}

/** Code that begins with this text writes itself to standard output. */
export const SAY = 'say ';

/** Code of a cell that raises. */
export const RAISE = 'raise';

const EXITED = { exit_code: 0, signal: null };

/** How a command ends: `exit 3` with exit code 3, `signal SIGKILL` by that signal, and any other with exit code 0. */
function exitOf(code: string) {
  const [word, value] = code.split(' ');
  if (word === 'exit') return { ...EXITED, exit_code: Number(value) };
  return word === 'signal' ? { exit_code: null, signal: value } : EXITED;
}

const raised: typeof okReply = (options) => errorReply('E', options);

interface Fields {
  readonly msg_id?: string;
  readonly signal?: string;
  readonly close?: boolean;
  readonly base64?: string;
  readonly columns?: number;
  readonly rows?: number;
  readonly context_id?: string;
  readonly variables?: Readonly<Record<string, string>>;
}

interface Answered {
  readonly status: number;
  readonly json: unknown;
}

const DEFAULT = 'default';
/** The process ids of commands are above this number. */
const FIRST_PID = 100;
const FEATURES = ['processes'];
const USAGE = {
  ...{ clock_ms: 1_000, cpu_ms: 7, oom_kills: 0 },
  ...{ memory_bytes: 50, memory_limit_bytes: 100, cache_bytes: 5 },
  ...{ disk_bytes: 20, disk_limit_bytes: 40 },
};
const ok = (json: unknown): Answered => ({ status: 200, json });
const refused = (status: number, error: string): Answered => ({ status, json: { error } });

/** Runs each msg_id once, and interrupts by msg_id. */
export function runKernels(agent: ScriptedAgent, rules: KernelRules): ProgrammedKernels {
  let variables: Readonly<Record<string, string>> = {};
  const features = rules.isFormer ? [] : FEATURES;
  const known = new Set<string>();
  /** The id of the execution that runs in each lane. */
  const running = new Map<string, string>();
  const commands = new Set<string>();
  const inputs = new Map<string, number>();
  const contexts = new Set<string>();
  const deleted = new Set<string>();
  const kernels: ProgrammedKernels = {
    agent,
    letGo: () => {
      for (const [lane, id] of running) endIn(lane, 'finished', commands.has(id) ? EXITED : {});
    },
  };

  function endIn(lane: string, outcome: 'finished' | 'interrupted', more = {}, reply = okReply) {
    const parent = running.get(lane);
    if (parent === undefined) return;
    running.delete(lane);
    const at = Date.now();
    const metadata = verdict(outcome, { started_at: at, finished_at: at, ...more });
    agent.append((seq) => status('idle', { parent, seq, at }));
    agent.append((seq) => reply({ parent, seq, at, metadata }));
  }

  function execute({ id, code, lane, isCommand, found }: Asked): void {
    if (known.has(id)) return;
    known.add(id);
    if (isCommand) commands.add(id);
    else if (lane !== DEFAULT && !contexts.has(lane)) throw new Error('There is no such context.');
    rules.onBegin(id, { ...found, variables: { ...variables, ...found.variables } });
    running.set(lane, id);
    const pid = isCommand && !rules.isFormer ? { pid: FIRST_PID + known.size } : {};
    const busy = { execution_state: 'busy', ...pid };
    agent.append((seq) => frame('status', busy, { parent: id, seq, at: Date.now() }));
    if (code === READ || rules.isHeld(code)) return;
    const printed = code.startsWith(SAY) ? code : (rules.printed?.(code) ?? null);
    if (printed !== null)
      agent.append((seq) => stream(printed, { parent: id, seq, at: Date.now() }));
    const reply = code === RAISE ? raised : okReply;
    endIn(lane, 'finished', isCommand ? exitOf(code) : {}, reply);
  }

  function tell(contextId: string, state: 'ready' | 'ended' | 'failed'): void {
    const content = { context_id: contextId, state, kernel_generation: 1, ready_ms: 1 };
    agent.append((seq) => frame('cellhouse_context', content, { seq, at: Date.now() }));
  }

  function make(id: string): Answered {
    if (deleted.has(id)) return refused(404, 'no_context');
    if (rules.hasNoKernels()) {
      tell(id, 'failed');
      return refused(503, 'no_kernel');
    }
    if (!contexts.has(id)) tell(id, 'ready');
    contexts.add(id);
    return ok({ kernel_generation: 1 });
  }

  function remove(id: string): Answered {
    deleted.add(id);
    if (!contexts.delete(id)) return ok({ deleted: false });
    endIn(id, 'interrupted', { state_lost: true });
    tell(id, 'ended');
    return ok({ deleted: true });
  }

  function restart(id: string | undefined): Answered {
    if (id !== undefined && !contexts.has(id)) return refused(404, 'no_context');
    const content = { execution_state: 'restarting', reason: 'user', context_id: id };
    agent.append((seq) => frame('status', content, { seq, at: Date.now() }));
    endIn(id ?? DEFAULT, 'interrupted', { state_lost: true });
    return ok({ kernel_generation: 2 });
  }

  function interrupt(id: string, signal: string | undefined): Answered {
    const isKnown = known.has(id);
    // An interrupted request that arrives later must not run.
    known.add(id);
    const [lane] = [...running].find(([, each]) => each === id) ?? [];
    const by = signal !== undefined && commands.has(id) ? { exit_code: null, signal } : {};
    if (lane !== undefined) queueMicrotask(() => endIn(lane, 'interrupted', by));
    return ok({ interrupted: lane !== undefined, known: isKnown });
  }

  /** The code reads its input at once, so all of it is accepted. */
  function takeInput({ msg_id: id = '', base64 = '', close = false }: Fields): Answered {
    const lane = [...running].find(([, each]) => each === id)?.[0];
    if (lane === undefined) return ok({ known: false, accepted: 0, closed: false });
    const accepted = (inputs.get(id) ?? 0) + Buffer.from(base64, 'base64').length;
    inputs.set(id, accepted);
    if (close) queueMicrotask(() => endIn(lane, 'finished', commands.has(id) ? EXITED : {}));
    return ok({ known: true, accepted, closed: close });
  }

  function resize({ msg_id: id, columns, rows }: Fields): Answered {
    rules.onResize(`${columns}x${rows}`);
    return ok({ known: [...running.values()].includes(id ?? '') });
  }

  function setVariables(given: Fields['variables']): Answered {
    const status = rules.variablesStatus();
    if (status === null) variables = given ?? {};
    return { status: status ?? 200, json: { count: 0 } };
  }

  function answerTo(path: string, fields: Fields): Answered {
    const { msg_id: msgId = '', context_id: contextId } = fields;
    switch (path) {
      case '/health':
        return ok({ status: 'ok', boot_id: agent.bootId, kernel: 'idle', features });
      case '/usage':
        return ok(USAGE);
      case '/input':
        return takeInput(fields);
      case '/resize':
        return resize(fields);
      case '/variables':
        return setVariables(fields.variables);
      case '/contexts':
        return make(contextId ?? '');
      case '/delete_context':
        return remove(contextId ?? '');
      case '/restart':
        return restart(contextId);
      default:
        return interrupt(msgId, fields.signal);
    }
  }

  agent.answer = (request, response, body) => {
    if (rules.isFrozen()) return;
    if (request.url?.startsWith('/files')) {
      // An agent of a release without files answers this.
      response.writeHead(404).end('{"error":"not_found"}');
      return;
    }
    const given = answerTo(request.url ?? '', JSON.parse(body || '{}') as Fields);
    response.writeHead(given.status).end(JSON.stringify(given.json));
  };
  void readRequests(agent, execute);
  return kernels;
}

/** Runs for ever. After the agent has closed, it only waits for a request that never comes. */
async function readRequests(agent: ScriptedAgent, execute: (asked: Asked) => void): Promise<void> {
  for (let count = 0; ; count += 1) {
    await agent.receivedAtLeast(count + 1);
    const { header, content, metadata } = agent.received[count] as {
      readonly header?: { readonly msg_type: string; readonly msg_id: string };
      readonly content?: { readonly code: string };
      readonly metadata?: {
        readonly cellhouse?: {
          readonly context?: { readonly id: string };
          readonly language?: 'bash';
          readonly environment?: Readonly<Record<string, string>>;
          readonly working_directory?: string;
        };
      };
    };
    if (header?.msg_type !== 'execute_request') continue;
    const { msg_id: id } = header;
    const asked = metadata?.cellhouse ?? {};
    const isCommand = asked.language === 'bash';
    const lane = isCommand ? id : (asked.context?.id ?? DEFAULT);
    const found = { variables: asked.environment ?? {}, directory: asked.working_directory };
    execute({ id, code: content?.code ?? '', lane, isCommand, found });
  }
}
