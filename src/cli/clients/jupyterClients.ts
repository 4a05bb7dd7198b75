import type { At, ClientLines } from './clientLines.ts';

const address = ({ url }: At) => `${url}/jupyter`;
/** For clients whose WebSocket sends no header. */
const addressWithToken = ({ url, token }: At) => `${url}/t/${token}/jupyter`;

/** Clients of a Jupyter server. */
export const JUPYTER_CLIENTS: readonly ClientLines[] = [
  {
    client: 'JupyterLab, Jupyter Notebook',
    lines: (at) =>
      `JUPYTER_GATEWAY_AUTH_TOKEN=${at.token} jupyter lab --gateway-url=${address(at)}`,
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
    lines: (at) => `Jupyter URL: ${address(at)}
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
