/** The lines to paste into each client of a door. Only the gateway's address and the token vary. */
import type { ServedDoor } from '../domain/token.ts';

/** The address of the gateway, and a token for it. */
interface At {
  /** The gateway's URL, without a slash at its end. */
  readonly url: string;
  readonly token: string;
  /** The path of the program `cellhouse`, for hosts that start a command. */
  readonly program: string;
}

interface ClientLines {
  /** The name of the client, and where the lines go. */
  readonly client: string;
  readonly lines: (at: At) => string;
}

/** E2B's SDKs, and programs that use them. */
const E2B_CLIENTS: readonly ClientLines[] = [
  {
    client: '`@e2b/code-interpreter` and `e2b` (npm), `e2b-code-interpreter` (Python)',
    lines: ({ url, token }) => `export E2B_API_KEY=${token}
export E2B_API_URL=${url}/e2b
export E2B_SANDBOX_URL=${url}/e2b`,
  },
];

const jupyterAddress = ({ url }: At) => `${url}/jupyter`;
/** For clients whose WebSocket sends no header. */
const addressWithToken = ({ url, token }: At) => `${url}/t/${token}/jupyter`;

/** Clients of a Jupyter server. */
export const JUPYTER_CLIENTS: readonly ClientLines[] = [
  {
    client: 'JupyterLab, Jupyter Notebook',
    lines: (at) =>
      `JUPYTER_GATEWAY_AUTH_TOKEN=${at.token} jupyter lab --gateway-url=${jupyterAddress(at)}`,
  },
  {
    client: 'nbclient, nbconvert',
    // Without the second address, the client would use the first one in lower case, which changes the token.
    lines: (at) => `export JUPYTER_GATEWAY_URL=${addressWithToken(at)}
export JUPYTER_GATEWAY_WS_URL=${addressWithToken(at).replace('http', 'ws')}
jupyter nbconvert --to notebook --execute notebook.ipynb \\
  --ExecutePreprocessor.kernel_manager_class=jupyter_server.gateway.managers.GatewayKernelManager`,
  },
  {
    client: 'Open WebUI: Admin Settings, Code Execution, the engine "jupyter"',
    lines: (at) => `Jupyter URL: ${jupyterAddress(at)}
Jupyter Auth: Token
Token: ${at.token}`,
  },
  {
    client: 'AutoGen',
    lines: (at) => {
      const { hostname, port, protocol } = new URL(at.url);
      const isHttps = protocol === 'https:';
      return `from autogen.coding.jupyter import JupyterCodeExecutor, JupyterConnectionInfo

executor = JupyterCodeExecutor(JupyterConnectionInfo(
    host="${hostname}", port=${port || (isHttps ? 443 : 80)}, use_https=${isHttps ? 'True' : 'False'}, token="${at.token}",
))`;
    },
  },
  {
    client: 'smolagents, and other programs that take the address of a Jupyter server',
    lines: (at) => addressWithToken(at),
  },
];

const mcpAddress = ({ url }: At) => `${url}/mcp`;
const headers = ({ token }: At) => ({ Authorization: `Bearer ${token}` });
const json = (value: object) => JSON.stringify(value, null, 2);

/** Hosts of the Model Context Protocol. */
const MCP_CLIENTS: readonly ClientLines[] = [
  {
    client: 'Claude Code',
    lines: (at) =>
      `claude mcp add --transport http cellhouse ${mcpAddress(at)} --header "Authorization: Bearer ${at.token}"`,
  },
  {
    client: 'Cursor: ~/.cursor/mcp.json',
    lines: (at) =>
      json({ mcpServers: { cellhouse: { url: mcpAddress(at), headers: headers(at) } } }),
  },
  {
    client: 'VS Code: .vscode/mcp.json',
    lines: (at) =>
      json({ servers: { cellhouse: { type: 'http', url: mcpAddress(at), headers: headers(at) } } }),
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
    params={"url": "${mcpAddress(at)}", "headers": {"Authorization": "Bearer ${at.token}"}},
    client_session_timeout_seconds=60,
)`,
  },
  {
    client: 'LangChain (Python)',
    lines: (at) => `from langchain_mcp_adapters.client import MultiServerMCPClient

client = MultiServerMCPClient({"cellhouse": {
    "transport": "streamable_http",
    "url": "${mcpAddress(at)}",
    "headers": {"Authorization": "Bearer ${at.token}"},
}})`,
  },
  {
    client: 'n8n: the node "MCP Client Tool"',
    lines: (at) => `Endpoint: ${mcpAddress(at)}
Server Transport: HTTP Streamable
Authentication: Bearer Auth, with the Bearer Token ${at.token}`,
  },
  {
    client: 'LibreChat: librechat.yaml',
    lines: (at) => `mcpServers:
  cellhouse:
    type: streamable-http
    url: ${mcpAddress(at)}
    headers:
      Authorization: "Bearer ${at.token}"
      X-Session-Id: "{{LIBRECHAT_BODY_CONVERSATIONID}}"
    timeout: 60000`,
  },
  {
    client:
      'Open WebUI: Admin Settings, External Tools, a server of the type "MCP (Streamable HTTP)"',
    lines: (at) => `URL: ${mcpAddress(at)}
Auth: Bearer
Key: ${at.token}`,
  },
];

/** Programs that call the system that Cellhouse replaces. */
const PREDECESSOR_CLIENTS: readonly ClientLines[] = [
  {
    client: 'Any program for the predecessor',
    lines: ({ url, token }) => `GATEWAY_URL = "${url}"
HEADERS = {"X-Auth-Token": "${token}"}`,
  },
  {
    client: 'A shell',
    lines: ({ url, token }) => `curl -s ${url}/execute -H 'X-Auth-Token: ${token}' \\
  -H 'Content-Type: application/json' -d '{"user_uuid": "ann", "code": "6 * 7"}'`,
  },
];

const CLIENTS: Readonly<Record<ServedDoor, readonly ClientLines[]>> = {
  predecessor: PREDECESSOR_CLIENTS,
  mcp: MCP_CLIENTS,
  jupyter: JUPYTER_CLIENTS,
  e2b: E2B_CLIENTS,
};

/** The path of each door, below the gateway's URL. */
const PATHS: Readonly<Record<ServedDoor, string>> = {
  predecessor: '',
  mcp: '/mcp',
  jupyter: '/jupyter',
  e2b: '/e2b',
};

/** The addresses of a door, and the lines for each client. The text contains the token. */
export function clientsText(door: ServedDoor, at: At): string {
  const path = PATHS[door];
  const addresses = `${at.url}${path}\n${at.url}/t/${at.token}${path} (for clients that can send no header)`;
  const clients = CLIENTS[door].map(({ client, lines }) => `-- ${client}\n${lines(at).trim()}\n`);
  return `== ${door}: ${addresses}\n\n${clients.join('\n')}`;
}

/** The same lines, as a part of docs/use/doors/clients.md. */
export function clientsMarkdown(door: ServedDoor, at: At): string {
  const clients = CLIENTS[door].map(
    ({ client, lines }) => `**${client}**\n\n\`\`\`text\n${lines(at).trim()}\n\`\`\`\n`,
  );
  return `## ${door}\n\n${clients.join('\n')}`;
}
