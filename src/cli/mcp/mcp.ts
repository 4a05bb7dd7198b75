import { StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioServerTransport } from '@modelcontextprotocol/server/stdio';
import { bridge } from './bridge.ts';
import { mcpArguments } from './mcpArguments.ts';

/** Above the largest file that MAX_FILE_TEXT_BYTES allows, in base64. */
const MAX_MESSAGE_BYTES = 100_000_000;

/**
 * `cellhouse mcp`: connects hosts that only start commands to the gateway's MCP door. Standard output contains only
 * messages of the protocol. The command ends when standard input ends.
 * @param words the arguments after `mcp`
 */
export async function mcp(words: readonly string[]): Promise<void> {
  const { url, token } = mcpArguments(words, process.env);
  await bridge({
    host: new StdioServerTransport(process.stdin, process.stdout, {
      maxBufferSize: MAX_MESSAGE_BYTES,
    }),
    gateway: new StreamableHTTPClientTransport(new URL(`${url}/mcp`), {
      requestInit: { headers: { Authorization: `Bearer ${token}` } },
    }),
    say: (line) => console.error(`cellhouse mcp: ${line}`),
  });
}
