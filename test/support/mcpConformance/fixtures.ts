/**
 * Tools with a fixed answer and resources with a fixed content. The scenarios of `@modelcontextprotocol/conformance`
 * look for them, and no product has them. They are added to the product's server, on the product's HTTP stack.
 */
import { inputRequired, type McpServer, ResourceTemplate } from '@modelcontextprotocol/server';
import { z } from 'zod';

/** One red pixel. */
const PNG =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';
/** No sound. */
const WAV = 'UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=';
const NOTHING = z.object({});

const text = (value: string) => ({ type: 'text', text: value }) as const;
const image = { type: 'image', data: PNG, mimeType: 'image/png' } as const;
const resource = (uri: string, mimeType: string, value: string) =>
  ({ type: 'resource', resource: { uri, mimeType, text: value } }) as const;

export function addFixtures(server: McpServer): void {
  server.server.registerCapabilities({ logging: {} });
  addTools(server);
  addLogs(server);
  addQuestions(server);
  addResources(server);
}

function addTools(server: McpServer): void {
  const answers = {
    test_simple_text: [text('This is a simple text response for testing.')],
    test_image_content: [image],
    test_audio_content: [{ type: 'audio', data: WAV, mimeType: 'audio/wav' }],
    test_embedded_resource: [
      resource('test://embedded-resource', 'text/plain', 'This is an embedded resource content.'),
    ],
    test_multiple_content_types: [
      text('Multiple content types test:'),
      image,
      resource('test://mixed-content-resource', 'application/json', '{"test":"data","value":123}'),
    ],
  } as const;
  for (const [name, content] of Object.entries(answers))
    server.registerTool(name, { description: name, inputSchema: NOTHING }, async () => ({
      content: [...content],
    }));
  server.registerTool(
    'test_error_handling',
    { description: 'Fails', inputSchema: NOTHING },
    async () => {
      throw new Error('This tool intentionally returns an error for testing');
    },
  );
  server.registerTool(
    'test_tool_with_progress',
    { description: 'Tells progress', inputSchema: NOTHING },
    async (_, { mcpReq }) => {
      const progressToken = mcpReq._meta?.progressToken ?? 0;
      for (const progress of [0, 50, 100])
        await mcpReq.notify({
          method: 'notifications/progress',
          params: { progressToken, progress, total: 100, message: `Step ${progress}` },
        });
      return { content: [text(String(progressToken))] };
    },
  );
}

/** Tools that log. Since revision 2026-07-28, a client gets log messages only if its request names a level. */
function addLogs(server: McpServer): void {
  for (const name of ['test_tool_with_logging', 'test_logging_tool'])
    server.registerTool(name, { description: 'Logs', inputSchema: NOTHING }, async (_, context) => {
      for (const step of ['started', 'processing', 'completed'])
        await context.mcpReq.log('info', `Tool execution ${step}`);
      return { content: [text('Logged')] };
    });
}

/** Tools that ask the client. The server must ask only a client that has declared that it can answer. */
function addQuestions(server: McpServer): void {
  server.registerTool(
    'test_missing_capability',
    { description: 'Asks for a sample', inputSchema: NOTHING },
    async () =>
      inputRequired({
        inputRequests: {
          sample: inputRequired.createMessage({
            messages: [{ role: 'user', content: text('What is 6 * 7?') }],
            maxTokens: 10,
          }),
        },
      }),
  );
  server.registerTool(
    'test_streaming_elicitation',
    { description: 'Asks the user', inputSchema: NOTHING },
    async () =>
      inputRequired({
        inputRequests: {
          name: inputRequired.elicit({
            message: 'What is your name?',
            requestedSchema: { type: 'object', properties: { name: { type: 'string' } } },
          }),
        },
      }),
  );
}

function addResources(server: McpServer): void {
  server.registerResource('static-text', 'test://static-text', {}, async () => ({
    contents: [
      {
        uri: 'test://static-text',
        mimeType: 'text/plain',
        text: 'This is the content of the static text resource.',
      },
    ],
  }));
  server.registerResource('static-binary', 'test://static-binary', {}, async () => ({
    contents: [{ uri: 'test://static-binary', mimeType: 'image/png', blob: PNG }],
  }));
  server.registerResource(
    'template',
    new ResourceTemplate('test://template/{id}/data', { list: undefined }),
    {},
    async ({ href: uri }, { id }) => ({
      contents: [
        {
          uri,
          mimeType: 'application/json',
          text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }),
        },
      ],
    }),
  );
}
