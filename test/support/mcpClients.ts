/** The MCP clients that hosts use, unmodified, behind one interface, so that one test can run with each of them. */
import { createMCPClient } from '@ai-sdk/mcp';
import { MultiServerMCPClient } from '@langchain/mcp-adapters';
import {
  Client as Client2,
  StreamableHTTPClientTransport as Http2,
  type Transport as Transport2,
  type VersionNegotiationMode,
} from '@modelcontextprotocol/client';
import { StdioClientTransport as Stdio2 } from '@modelcontextprotocol/client/stdio';
import { Client as Client1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as Http1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport as Transport1 } from '@modelcontextprotocol/sdk/shared/transport.js';

/** What a tool answered, as the client hands it on. */
export interface ToolAnswer {
  /** All text blocks. */
  readonly text: string;
  /** The MIME types of the images, and their base64. */
  readonly images: readonly { readonly mimeType: string; readonly data: string }[];
  /** Null if the client does not hand it on. */
  readonly data: Readonly<Record<string, unknown>> | null;
  readonly isError: boolean;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (message: string) => void;
}

export interface ConnectedClient {
  call(
    tool: string,
    input: Readonly<Record<string, unknown>>,
    options?: CallOptions,
  ): Promise<ToolAnswer>;
  close(): Promise<void>;
}

export interface ClientKind {
  readonly name: string;
  connect(url: string, headers: Readonly<Record<string, string>>): Promise<ConnectedClient>;
}

const CLI = new URL('../../dist/cli.js', import.meta.url).pathname;
const WHO = { name: 'cellhouse-tests', version: '1.0.0' };

interface Block {
  readonly type: string;
  readonly text?: string;
  readonly data?: string;
  readonly mimeType?: string;
}

interface RawAnswer {
  readonly content?: unknown;
  readonly structuredContent?: unknown;
  readonly isError?: unknown;
}

function answerOf({ content, structuredContent, isError }: RawAnswer): ToolAnswer {
  const blocks = (content ?? []) as readonly Block[];
  return {
    text: blocks.flatMap(({ type, text }) => (type === 'text' ? [text ?? ''] : [])).join('\n'),
    images: blocks.flatMap(({ type, data = '', mimeType = '' }) =>
      type === 'image' ? [{ data, mimeType }] : [],
    ),
    data: (structuredContent ?? null) as ToolAnswer['data'],
    isError: isError === true,
  };
}

const v1: ClientKind = {
  name: '@modelcontextprotocol/sdk, the official client of version 1',
  connect: async (url, headers) => {
    const client = new Client1(WHO);
    const transport = new Http1(new URL(url), { requestInit: { headers } });
    await client.connect(transport as Transport1);
    return {
      call: async (name, input, { signal, onProgress } = {}) =>
        answerOf(
          (await client.callTool({ name, arguments: input }, undefined, {
            ...(signal && { signal }),
            ...(onProgress && { onprogress: ({ message = '' }) => onProgress(message) }),
          })) as RawAnswer,
        ),
      close: () => client.close(),
    };
  },
};

function v2(name: string, mode: VersionNegotiationMode, transportTo = overHttp): ClientKind {
  return {
    name: `@modelcontextprotocol/client, the official client of version 2, ${name}`,
    connect: async (url, headers) => {
      const client = new Client2(WHO, { versionNegotiation: { mode } });
      await client.connect(transportTo(url, headers));
      return {
        call: async (tool, input, { signal, onProgress } = {}) =>
          answerOf(
            await client.callTool(
              { name: tool, arguments: input },
              {
                ...(signal && { signal }),
                ...(onProgress && { onprogress: ({ message = '' }) => onProgress(message) }),
              },
            ),
          ),
        close: () => client.close(),
      };
    },
  };
}

function overHttp(url: string, headers: Readonly<Record<string, string>>): Transport2 {
  return new Http2(new URL(url), { requestInit: { headers } });
}

/** Through `cellhouse mcp`, which gets the token in its environment. */
function overStdio(url: string, { Authorization = '' }: Readonly<Record<string, string>>) {
  return new Stdio2({
    command: process.execPath,
    args: [CLI, 'mcp', '--url', url.replace(/\/mcp$/, '')],
    env: { CELLHOUSE_TOKEN: Authorization.replace('Bearer ', '') },
  });
}

const aiSdk: ClientKind = {
  name: '@ai-sdk/mcp',
  connect: async (url, headers) => {
    const client = await createMCPClient({ transport: { type: 'http', url, headers } });
    const tools = await client.tools();
    return {
      call: async (tool, input, { signal } = {}) =>
        answerOf(
          (await tools[tool]?.execute?.(input, {
            toolCallId: 'one',
            messages: [],
            ...(signal && { abortSignal: signal }),
          })) as RawAnswer,
        ),
      close: () => client.close(),
    };
  },
};

const langchain: ClientKind = {
  name: '@langchain/mcp-adapters',
  connect: async (url, headers) => {
    const client = new MultiServerMCPClient({
      mcpServers: { cellhouse: { transport: 'http', url, headers: { ...headers } } },
      useStandardContentBlocks: false,
    });
    const tools = await client.getTools();
    return {
      call: async (tool, input, { signal } = {}) => {
        const known = tools.find(({ name }) => name === tool);
        if (!known) throw new Error(`There is no tool ${tool}.`);
        const asked = { type: 'tool_call', id: 'one', name: tool, args: { ...input } } as const;
        const invoked: Promise<unknown> = known.invoke(asked, signal && { signal });
        return await invoked.then(
          (message) => ({ ...langchainAnswer(message), isError: false }),
          langchainError,
        );
      },
      close: () => client.close(),
    };
  },
};

/** Without images, it is one text block with `structuredContent`, as JSON. With images, a list in OpenAI's form. */
function langchainAnswer(message: unknown): Omit<ToolAnswer, 'isError'> {
  const { content } = message as { content: unknown };
  if (typeof content === 'string') {
    const block = JSON.parse(content) as Block & RawAnswer;
    return answerOf({ content: [block], structuredContent: block.structuredContent });
  }
  const blocks = content as readonly (Block & { image_url?: { url: string } })[];
  const images = blocks.flatMap(({ image_url }) => {
    const [, mimeType = '', data = ''] =
      /^data:(.*?);base64,(.*)$/s.exec(image_url?.url ?? '') ?? [];
    return data === '' ? [] : [{ mimeType, data }];
  });
  return { ...answerOf({ content }), images };
}

/** This client throws for a result with `isError`. The message of the error has the text of the result at its end. */
function langchainError(error: unknown): ToolAnswer {
  const [, text] =
    /^MCP tool .*? returned an error: (.*)$/s.exec(String((error as Error).message)) ?? [];
  if (text === undefined) throw error;
  return { text, images: [], data: null, isError: true };
}

/** The client of a host that cannot use HTTP. */
export const STDIO_CLIENT = v2('over stdio', { pin: '2026-07-28' }, overStdio);

export const MCP_CLIENTS: readonly ClientKind[] = [
  v1,
  v2('with the old protocol', 'legacy'),
  v2('with the protocol of 2026', { pin: '2026-07-28' }),
  v2('that asks for the version', 'auto'),
  aiSdk,
  langchain,
];
