/**
 * Checks `npm run bench -- execute` without sharing any code with it. It measures `1+1` over one kept HTTP connection
 * to a running gateway, in turns with a stock ipykernel in a container. It prints both medians and their ratio.
 *
 * AUTH_TOKEN=... node bench/independentClient.mjs URL USER WORKER_IMAGE [TURNS]
 */
import { spawn } from 'node:child_process';
import { Agent, request } from 'node:http';
import { createInterface } from 'node:readline';

const WARM_UP = 1_000;
const STOCK = `import sys, time
from jupyter_client.manager import KernelManager
manager = KernelManager(kernel_name='python3', transport='ipc')
manager.start_kernel(extra_arguments=['--HistoryManager.enabled=False'])
client = manager.client()
client.start_channels()
client.wait_for_ready(timeout=60)
for _ in sys.stdin:
    start = time.perf_counter()
    id = client.execute('1+1')
    while True:
        message = client.get_iopub_msg(timeout=60)
        if message['parent_header'].get('msg_id') == id and message['content'].get('execution_state') == 'idle': break
    while client.get_shell_msg(timeout=60)['parent_header'].get('msg_id') != id: pass
    print((time.perf_counter() - start) * 1000, flush=True)
client.stop_channels()
manager.shutdown_kernel(now=True)
del client, manager`;

const [url, user, image, turns = '300'] = process.argv.slice(2);
const agent = new Agent({ keepAlive: true, maxSockets: 1 });
const headers = { 'content-type': 'application/json', 'x-auth-token': process.env.AUTH_TOKEN };
const query = 'mutation ($i: ExecuteInput!) { execute(input: $i) { status resultText } }';
const body = JSON.stringify({ query, variables: { i: { userUuid: user, code: '1+1' } } });

const run = `run -i --rm --network none --user 64002:64002 -e HOME=/tmp -w /tmp --entrypoint python3 ${image}`;
const stock = spawn('docker', [...run.split(' '), '-c', STOCK], { stdio: ['pipe', 'pipe', 2] });
const lines = createInterface({ input: stock.stdout })[Symbol.asyncIterator]();

const execute = () =>
  new Promise((resolve, reject) => {
    const start = performance.now();
    const call = request(`${url}/graphql`, { method: 'POST', agent, headers }, async (answer) => {
      const text = Buffer.concat(await answer.toArray()).toString();
      if (text === '{"data":{"execute":{"status":"OK","resultText":"2"}}}')
        resolve(performance.now() - start);
      else reject(new Error(text));
    });
    call.on('error', reject).end(body);
  });

const times = { stock: [], execute: [] };
for (let turn = 0; turn < WARM_UP + Number(turns); turn += 1) {
  if (turn === WARM_UP) console.log(`${turns} turns`);
  stock.stdin.write('\n');
  times.stock.push(Number((await lines.next()).value));
  times.execute.push(await execute());
}
stock.stdin.end();
const median = (all) => all.slice(WARM_UP).sort((a, b) => a - b)[Math.floor((turns - 1) / 2)];
const [one, other] = [median(times.stock), median(times.execute)];
console.log(
  `stock ${one.toFixed(2)} ms, execute ${other.toFixed(2)} ms, ratio ${(other / one).toFixed(3)}`,
);
agent.destroy();
