import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';

const { CELLHOUSE_URL: url = 'http://127.0.0.1:3874', CELLHOUSE_TOKEN: token } = process.env;
if (!token) throw new Error('Set CELLHOUSE_TOKEN first.');
const headers = { 'Content-Type': 'application/json', 'X-Auth-Token': token };
const post = (query, variables) =>
  fetch(`${url}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query, variables }) });
const checked = ({ data, errors }) => {
  if (errors) throw new Error(errors[0].message);
  return data;
};
const code = 'import time\nfor i in range(5): print("line", i); time.sleep(0.5)';
const RUN = 'mutation ($code: String!) { submit(input: {userUuid: "ann", code: $code}) { id } }';
const OUTPUT = `subscription ($id: ID!) { output(executionId: $id) { ...on StreamOutput { text }
  ...on ErrorOutput { error { name value } } ...on ExecutionFinished { execution { status } } } }`;
const { submit } = checked(await (await post(RUN, { code })).json());
const { body } = await post(OUTPUT, { id: submit.id });
for await (const line of createInterface({ input: Readable.fromWeb(body) })) {
  const json = line.replace('data: ', ''); // if the stream is refused, the body is JSON alone
  const { text, error, execution } = json[0] === '{' ? checked(JSON.parse(json)).output : {};
  process.stdout.write(text ?? '');
  if (error) console.error(`${error.name}: ${error.value}`);
  if (execution && execution.status !== 'OK') throw new Error(`It ended as ${execution.status}.`);
}
