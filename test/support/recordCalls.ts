/** The HTTP requests of gateways to a scripted agent. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ScriptedAgent } from './scriptedAgent.ts';

export interface HttpCall {
  readonly path: string;
  readonly body: {
    readonly msg_id?: string;
    readonly request_id?: string;
    readonly context_id?: string;
    readonly working_directory?: string | null;
    readonly offset?: number;
    readonly base64?: string;
    readonly close?: boolean;
  };
}

/** An answer of the agent that refuses the request. */
export class Refusal {
  readonly error: string;
  readonly status: number;
  constructor(status: number, error: string) {
    this.status = status;
    this.error = error;
  }
}

/** Records the agent's HTTP requests and answers them with `answer`; null: never answers. */
export function recordCalls(
  agent: ScriptedAgent,
  answer: (call: HttpCall) => unknown | null,
): { readonly calls: HttpCall[]; atLeast(count: number): Promise<void> } {
  const calls: HttpCall[] = [];
  const waiting = new Set<() => void>();
  agent.answer = (request: IncomingMessage, response: ServerResponse, body: string) => {
    const call = { path: request.url ?? '', body: JSON.parse(body) as HttpCall['body'] };
    calls.push(call);
    for (const wake of waiting) wake();
    const given = answer(call);
    if (given instanceof Refusal) response.statusCode = given.status;
    if (given !== null) response.end(JSON.stringify(given));
  };
  return {
    calls,
    atLeast: async (count) => {
      while (calls.length < count) {
        await new Promise<void>((resolve) => {
          waiting.add(resolve);
        });
      }
    },
  };
}
