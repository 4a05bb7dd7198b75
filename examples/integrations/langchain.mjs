import { randomUUID } from 'node:crypto';
import { MultiServerMCPClient } from '@langchain/mcp-adapters';
import { ChatOpenAI } from '@langchain/openai';
import { createAgent } from 'langchain';

const { CELLHOUSE_URL: url = 'http://127.0.0.1:3874', CELLHOUSE_TOKEN: token } = process.env;
// One session for this conversation: variables and files stay from call to call.
const headers = { Authorization: `Bearer ${token}`, 'X-Session-Id': randomUUID() };
const client = new MultiServerMCPClient({
  mcpServers: { cellhouse: { transport: 'http', url: `${url}/mcp`, headers } },
  defaultToolTimeout: 60_000,
});
try {
  const agent = createAgent({
    model: new ChatOpenAI({ model: 'gpt-5-mini' }),
    systemPrompt: 'Compute with Python instead of in your head.',
    tools: await client.getTools(),
  });
  const content = 'What is the sum of all numbers from 0 to 99?';
  const { messages } = await agent.invoke({ messages: [{ role: 'user', content }] });
  console.log(messages.at(-1).text);
} finally {
  await client.close();
}
