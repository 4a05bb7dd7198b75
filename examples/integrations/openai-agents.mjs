import { randomUUID } from 'node:crypto';
import { Agent, MCPServerStreamableHttp, run } from '@openai/agents';

const { CELLHOUSE_URL: url = 'http://127.0.0.1:3874', CELLHOUSE_TOKEN: token } = process.env;
const cellhouse = new MCPServerStreamableHttp({
  url: `${url}/mcp`,
  // One session for this conversation: variables and files stay from call to call.
  requestInit: { headers: { Authorization: `Bearer ${token}`, 'X-Session-Id': randomUUID() } },
  // By default, a call of a tool may take 5 s.
  clientSessionTimeoutSeconds: 60,
});
await cellhouse.connect();
try {
  const agent = new Agent({
    name: 'Analyst',
    instructions: 'Compute with Python instead of in your head.',
    model: 'gpt-5-mini',
    mcpServers: [cellhouse],
  });
  const { finalOutput } = await run(agent, 'What is the sum of all numbers from 0 to 99?');
  console.log(finalOutput);
} finally {
  await cellhouse.close();
}
