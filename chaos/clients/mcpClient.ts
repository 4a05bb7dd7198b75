/** Calls a tool of one gateway once, by the official client of MCP, in either era of its protocol. */
import {
  Client,
  SdkHttpError,
  StreamableHTTPClientTransport,
  type VersionNegotiationMode,
} from '@modelcontextprotocol/client';
import { type Outcome, wayItBroke } from './attempts.ts';
import { FINAL_CODES } from './calls.ts';

export const ERAS: readonly VersionNegotiationMode[] = ['legacy', { pin: '2026-07-28' }];

/** After these, nobody knows whether the call had an effect. After all other refusals, it had none. */
const UNCLEAR_CODES: readonly string[] = ['DATABASE_UNAVAILABLE', 'INTERNAL'];

export interface ToolCall<Answer> {
  readonly tool: string;
  readonly input: Readonly<Record<string, unknown>>;
  readonly answerOf: (data: Readonly<Record<string, unknown>>) => Answer;
  /** Whether another attempt does no harm, although nobody knows what became of this one. */
  readonly isRepeatable: boolean;
}

/** @param era see {@link ERAS} */
export async function callTool<Answer>(
  { url, token, era }: { url: string; token: string; era: VersionNegotiationMode },
  { tool, input, answerOf, isRepeatable }: ToolCall<Answer>,
  signal: AbortSignal,
): Promise<Outcome<Answer>> {
  const client = new Client(
    { name: 'cellhouse-chaos', version: '1.0.0' },
    { versionNegotiation: { mode: era } },
  );
  const headers = { Authorization: `Bearer ${token}` };
  const broken = (how: string): Outcome<never> =>
    isRepeatable ? { failure: how } : { unknown: how };
  try {
    // Nothing has been called if this fails.
    await connect(client, new URL(`${url}/mcp`), headers, signal);
    const result = await client
      .callTool({ name: tool, arguments: { ...input } }, { signal })
      .catch((error: unknown) => {
        if (error instanceof SdkHttpError) throw error;
        return broken(signal.aborted ? 'no answer in time' : wayItBroke(error));
      });
    if (!('content' in result)) return result;
    if (result.structuredContent) return { answer: answerOf({ ...result.structuredContent }) };
    const [code = ''] = /^[A-Z_]+(?=: )/.exec(textIn(result.content)) ?? [];
    if (FINAL_CODES.includes(code)) return { refusal: code };
    return UNCLEAR_CODES.includes(code) ? broken(code) : { failure: code || 'no code' };
  } catch (error: unknown) {
    // A gateway that refuses a request hands it to no tool.
    if (!(error instanceof SdkHttpError)) throw error;
    return error.status === 401
      ? { refusal: 'UNAUTHENTICATED' }
      : { failure: `HTTP ${error.status}` };
  } finally {
    await client.close();
  }
}

async function connect(
  client: Client,
  url: URL,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<void> {
  const transport = new StreamableHTTPClientTransport(url, { requestInit: { headers } });
  await client.connect(transport, { signal });
}

function textIn(content: readonly { readonly type: string; readonly text?: string }[]): string {
  return content.find(({ type }) => type === 'text')?.text ?? '';
}
