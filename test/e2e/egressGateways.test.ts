/** With two gateways on one PostgreSQL, code keeps its way out when the gateway that holds its worker dies. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { execute, submit } from '../../testkit/interpreter.ts';
import { until } from '../../testkit/until.ts';
import { createInstallation, type TestInstallation } from '../support/installation.ts';

const LONG = { timeoutMs: 60_000 };

let server: Server;
let port: number;
let installation: TestInstallation;
beforeAll(async () => {
  server = createServer((_request, response) => response.end('I am listed'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
  installation = await createInstallation({ EGRESS_ALLOW: `127.0.0.1:${port}` });
});
afterAll(async () => {
  await installation?.destroy();
  server?.closeAllConnections();
  server?.close();
});

it('new connections of code work again within 3 s after the holder was killed, through the other gateway', async () => {
  const gateways = [await installation.start(), await installation.start()] as const;
  await execute(gateways[0], 'ann', '1');
  const holder = await installation.holderOfUser('ann');
  const other = gateways.find((gateway) => gateway !== holder) ?? holder;
  const code = `import http.client, json, time
def ask():
    proxy = http.client.HTTPConnection("127.0.0.1", 3128, timeout=30)
    proxy.request("GET", "http://127.0.0.1:${port}/")
    return proxy.getresponse().read().decode()
tunnel = http.client.HTTPConnection("127.0.0.1", 3128, timeout=30)
tunnel.set_tunnel("127.0.0.1", ${port})
tunnel.connect()
print(ask(), flush=True)
try: rest = tunnel.sock.recv(1)
except OSError: rest = b""
broken, answer, failures = time.monotonic(), None, 0
while answer is None:
    try: answer = ask()
    except (OSError, http.client.HTTPException): failures += 1
print(json.dumps({"rest": rest.decode(), "answer": answer, "failures": failures, "seconds": time.monotonic() - broken}))`;
  const { id } = await submit(other, 'ann', code, LONG);
  const stdoutWith = (text: string) =>
    until(`${text} in its output`, async () => {
      const { data } = await other.graphql<{ execution: { stdout: string | null } }>(
        'query ($id: ID!) { execution(id: $id) { stdout } }',
        { id },
      );
      const stdout = data?.execution.stdout ?? '';
      return stdout.includes(text) && stdout;
    });
  await stdoutWith('I am listed\n');
  await holder.kill('SIGKILL');
  const [, report = ''] = (await stdoutWith('seconds')).split('\n');
  const { seconds, failures, ...rest } = JSON.parse(report) as Record<
    'seconds' | 'failures',
    number
  >;
  expect(rest).toEqual({ rest: '', answer: 'I am listed' });
  // Code that connects meanwhile waits, and does not fail. Only the first connection may break: Linux closes the sockets
  // of a killed process one after the other, so the next socket may be given to code although it is about to be closed.
  expect(failures).toBeLessThanOrEqual(1);
  expect(seconds).toBeLessThan(3);
});
