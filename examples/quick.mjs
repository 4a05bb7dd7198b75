import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';

const { CELLHOUSE_URL: url = 'http://127.0.0.1:3874', CELLHOUSE_TOKEN: token } = process.env;
const headers = { 'Content-Type': 'application/json', 'X-Auth-Token': token };
const post = (query, variables) =>
  fetch(`${url}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query, variables }) });
const checked = ({ data, errors }) => {
  if (errors) throw new Error(errors[0].message);
  return data;
};
const code = 'import time\nfor i in range(5): print("line", i); time.sleep(0.5)';
const RUN = 'mutation ($code: String!) { submit(input: {userUuid: "ann", code: $code}) { id } }';
const OUTPUT = 'subscription ($id: ID!) { output(executionId: $id) { ...on StreamOutput {text} } }';
const { submit } = checked(await (await post(RUN, { code })).json());
const { body } = await post(OUTPUT, submit);
for await (const line of createInterface({ input: Readable.fromWeb(body) })) {
  const json = line.replace('data: ', ''); // a refusal is JSON without an event
  if (json.startsWith('{')) process.stdout.write(checked(JSON.parse(json)).output.text ?? '');
}
