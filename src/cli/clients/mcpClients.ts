import type { At, ClientLines } from './clientLines.ts';

const address = ({ url }: At) => `${url}/mcp`;
const headers = ({ token }: At) => ({ Authorization: `Bearer ${token}` });
const json = (value: object) => JSON.stringify(value, null, 2);

/** Hosts of the Model Context Protocol. */
export const MCP_CLIENTS: readonly ClientLines[] = [
  {
    client: 'Claude Code',
    lines: (at) =>
      `claude mcp add --transport http cellhouse ${address(at)} --header "Authorization: Bearer ${at.token}"`,
  },
  {
    client: 'Cursor: ~/.cursor/mcp.json',
    lines: (at) => json({ mcpServers: { cellhouse: { url: address(at), headers: headers(at) } } }),
  },
  {
    client: 'VS Code: .vscode/mcp.json',
    lines: (at) =>
      json({ servers: { cellhouse: { type: 'http', url: address(at), headers: headers(at) } } }),
  },
  {
    client: 'Claude Desktop, and other hosts that only start commands',
    lines: ({ url, token, program }) =>
      json({
        mcpServers: {
          cellhouse: {
            command: 'node',
            args: [program, 'mcp', '--url', url],
            env: { CELLHOUSE_TOKEN: token },
          },
        },
      }),
  },
  {
    client: 'OpenAI Agents (Python)',
    lines: (at) => `from agents.mcp import MCPServerStreamableHttp

cellhouse = MCPServerStreamableHttp(
    params={"url": "${address(at)}", "headers": {"Authorization": "Bearer ${at.token}"}},
    client_session_timeout_seconds=60,
)`,
  },
  {
    client: 'LangChain (Python)',
    lines: (at) => `from langchain_mcp_adapters.client import MultiServerMCPClient

client = MultiServerMCPClient({"cellhouse": {
    "transport": "streamable_http",
    "url": "${address(at)}",
    "headers": {"Authorization": "Bearer ${at.token}"},
}})`,
  },
  {
    client: 'n8n: the node "MCP Client Tool"',
    lines: (at) => `Endpoint: ${address(at)}
Server Transport: HTTP Streamable
Authentication: Bearer Auth, with the Bearer Token ${at.token}`,
  },
  {
    client: 'LibreChat: librechat.yaml',
    lines: (at) => `mcpServers:
  cellhouse:
    type: streamable-http
    url: ${address(at)}
    headers:
      Authorization: "Bearer ${at.token}"
      X-Session-Id: "{{LIBRECHAT_BODY_CONVERSATIONID}}"
    timeout: 60000`,
  },
  {
    client:
      'Open WebUI: Admin Settings, External Tools, a server of the type "MCP (Streamable HTTP)"',
    lines: (at) => `URL: ${address(at)}
Auth: Bearer
Key: ${at.token}`,
  },
];
