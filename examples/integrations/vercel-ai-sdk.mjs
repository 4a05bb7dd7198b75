import { randomUUID } from 'node:crypto';
import { createMCPClient } from '@ai-sdk/mcp';
import { openai } from '@ai-sdk/openai';
import { generateText, stepCountIs } from 'ai';

const { CELLHOUSE_URL: url = 'http://127.0.0.1:3874', CELLHOUSE_TOKEN: token } = process.env;
// One session for this conversation: variables and files stay from call to call.
const headers = { Authorization: `Bearer ${token}`, 'X-Session-Id': randomUUID() };
const cellhouse = await createMCPClient({
  transport: { type: 'http', url: `${url}/mcp`, headers },
});
try {
  const { text } = await generateText({
    model: openai('gpt-5-mini'),
    system: 'Compute with Python instead of in your head.',
    prompt: 'What is the sum of all numbers from 0 to 99?',
    tools: await cellhouse.tools(),
    // By default, the turn ends after the first call of a tool.
    stopWhen: stepCountIs(20),
  });
  console.log(text);
} finally {
  await cellhouse.close();
}
