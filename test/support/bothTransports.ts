/**
 * Sends one operation over HTTP (a subscription as server-sent events) or over a WebSocket, and gives the first answer.
 */
import type { TestGateway } from '../../testkit/gateway.ts';

export interface Outcome {
  readonly data?: Readonly<Record<string, unknown>> | null | undefined;
  readonly errors?: readonly unknown[] | undefined;
}

export type Ask = (
  query: string,
  variables?: Readonly<Record<string, unknown>>,
) => Promise<Outcome>;

export async function askOverHttp(
  { url, token }: TestGateway,
  query: string,
  variables: Readonly<Record<string, unknown>> = {},
): Promise<Outcome> {
  const isStream = query.startsWith('subscription');
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      'X-Auth-Token': token,
      Accept: isStream ? 'text/event-stream' : 'application/json',
    },
    body: JSON.stringify({ query, variables }),
  });
  const body = await response.text();
  const isEvents = response.headers.get('Content-Type')?.startsWith('text/event-stream');
  return JSON.parse(isEvents ? (/^data: (.+)$/m.exec(body)?.[1] ?? body) : body) as Outcome;
}

/** Gives the first answer, whether the protocol delivers it as a result or as an error. */
export function askOverWebSocket(
  gateway: TestGateway,
  query: string,
  variables: Readonly<Record<string, unknown>> = {},
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const client = gateway.socket();
    client.subscribe<Record<string, unknown>>(
      { query, variables },
      {
        next: resolve,
        error: (error) => {
          if (Array.isArray(error)) resolve({ errors: error });
          else reject(error);
          void client.dispose();
        },
        complete: () => void client.dispose(),
      },
    );
  });
}
