/**
 * A stand-in for OpenAI's models over HTTP, for programs whose framework calls a model. It calls the tool
 * `execute_code` with one code after another, and then answers with the first number of the last result. It has the two
 * APIs that the frameworks call, Chat Completions and Responses, without streaming.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';

/** What a program has sent in one request. */
export interface Told {
  /** The names of the tools that the model may call. */
  readonly tools: readonly string[];
  /** The results of the tool so far, each as one text. */
  readonly results: readonly string[];
}

export interface ScriptedModel {
  /** The value of OPENAI_BASE_URL. */
  readonly url: string;
  readonly requests: readonly Told[];
  close(): Promise<void>;
}

/** @param codes the codes with which the model calls the tool, in this order */
export async function startScriptedModel(codes: readonly string[]): Promise<ScriptedModel> {
  const requests: Told[] = [];
  const server = createServer(async (request, response) => {
    const wire = WIRES[`${request.method} ${request.url}`];
    if (!wire) return void response.writeHead(404).end();
    const told = wire.read(await json(request));
    requests.push(told);
    const code = codes[told.results.length];
    const answer = { id: `answer_${requests.length}`, created: 1_800_000_000, model: 'scripted' };
    response.setHeader('Content-Type', 'application/json');
    response.end(
      JSON.stringify({
        ...answer,
        ...(code === undefined
          ? wire.say(`Python says ${/\d+/.exec(told.results.at(-1) ?? '')?.[0]}.`)
          : wire.call(`call_${requests.length}`, JSON.stringify({ code }))),
      }),
    );
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    requests,
    close: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

interface Wire {
  read(body: unknown): Told;
  /** The answer that calls the tool. */
  call(id: string, input: string): object;
  /** The answer that ends the turn. */
  say(text: string): object;
}

const TOOL = 'execute_code';
const NO_TOKENS = { input_tokens: 0, output_tokens: 0, total_tokens: 0 };

/** A text, or a list of blocks, some of which have a text. */
type Content = string | readonly { readonly text?: string }[];
const textOf = (content: Content): string =>
  typeof content === 'string' ? content : content.map(({ text = '' }) => text).join('\n');

interface ChatBody {
  readonly messages: readonly { readonly role: string; readonly content: Content }[];
  readonly tools?: readonly { readonly function: { readonly name: string } }[];
}

const chatCompletions: Wire = {
  read: (body) => {
    const { messages, tools = [] } = body as ChatBody;
    const results = messages.filter(({ role }) => role === 'tool');
    return {
      tools: tools.map((tool) => tool.function.name),
      results: results.map(({ content }) => textOf(content)),
    };
  },
  call: (id, input) => {
    const call = { id, type: 'function', function: { name: TOOL, arguments: input } };
    const message = { role: 'assistant', content: null, tool_calls: [call] };
    return chatAnswer({ index: 0, message, finish_reason: 'tool_calls' });
  },
  say: (content) =>
    chatAnswer({ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }),
};

function chatAnswer(choice: object): object {
  const usage = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
  return { object: 'chat.completion', choices: [choice], usage };
}

interface ResponsesBody {
  readonly input: readonly { readonly type?: string; readonly output?: Content }[];
  readonly tools?: readonly { readonly name: string }[];
}

const responses: Wire = {
  read: (body) => {
    const { input, tools = [] } = body as ResponsesBody;
    const results = input.filter(({ type }) => type === 'function_call_output');
    return {
      tools: tools.map(({ name }) => name),
      results: results.map(({ output = '' }) => textOf(output)),
    };
  },
  call: (id, input) =>
    response({ id: `f${id}`, call_id: id, type: 'function_call', name: TOOL, arguments: input }),
  say: (text) => {
    const content = [{ type: 'output_text', text, annotations: [] }];
    return response({ id: 'message', type: 'message', role: 'assistant', content });
  },
};

function response(item: object): object {
  const output = [{ status: 'completed', ...item }];
  return {
    object: 'response',
    created_at: 1_800_000_000,
    status: 'completed',
    output,
    usage: NO_TOKENS,
  };
}

const WIRES: Readonly<Record<string, Wire>> = {
  'POST /v1/chat/completions': chatCompletions,
  'POST /v1/responses': responses,
};
