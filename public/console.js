/** The console page: runs code for a user and shows the output as it arrives. */
import { showFiles } from './consoleFiles.js';
import { inputLine } from './consoleInput.js';
import { createGraphqlSocket } from './graphqlSocket.js';

const TOKEN_KEY = 'cellhouse-token';
const USER_KEY = 'cellhouse-user';
const SAMPLE = `import time
for i in range(5):
    print('line', i, flush=True)
    time.sleep(0.3)
`;

const OUTPUT = `subscription ($id: ID!) { output(executionId: $id) {
  __typename seq
  ... on StreamOutput { name text }
  ... on RichOutput { kind data }
  ... on ErrorOutput { error { name value traceback } }
  ... on InputRequested { prompt password }
  ... on ClearOutput { wait }
  ... on GapOutput { reason droppedBytes }
  ... on ExecutionFinished { execution { status durationMs stateLost exitCode signal } }
} }`;

const byId = (id) => document.getElementById(id);
const [token, user, language, code, output, state] = [
  'token',
  'user',
  'language',
  'code',
  'output',
  'state',
].map(byId);
let socket = createGraphqlSocket(() => token.value.trim());
let running = null;

/** Runs an operation that has a single result. Its errors become one Error, with the `extensions` of the first. */
async function call(query, variables) {
  let data = null;
  await socket.run(query, variables, (result) => {
    if (result.errors) {
      const error = new Error(result.errors.map(({ message }) => message).join('\n'));
      throw Object.assign(error, { extensions: result.errors[0].extensions });
    }
    data = result.data;
  });
  return data;
}

function append(tag, className, text) {
  const last = output.lastElementChild;
  if (tag === 'pre' && last?.className === className) {
    last.append(text);
    return;
  }
  const element = document.createElement(tag);
  element.className = className;
  element.append(text);
  output.append(element);
}

function showRich({ data }) {
  const png = data['image/png'];
  if (typeof png === 'string') {
    const image = document.createElement('img');
    image.src = `data:image/png;base64,${png.replace(/\s+/g, '')}`;
    image.alt = String(data['text/plain'] ?? 'figure');
    output.append(image);
  } else append('pre', 'result', `${data['text/plain'] ?? JSON.stringify(data)}\n`);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: tracebacks mark colours with control characters.
const withoutColours = (text) => text.replace(/\x1b\[[0-9;]*m/g, '');

/** How a command failed has no traceback. */
const errorText = ({ name, value, traceback }) =>
  traceback.length > 0 ? traceback.join('\n') : `${name}: ${value}`;

const SHOW = {
  StreamOutput: ({ name, text }) => append('pre', name.toLowerCase(), text),
  RichOutput: showRich,
  ErrorOutput: ({ error }) => append('pre', 'error', `${withoutColours(errorText(error))}\n`),
  InputRequested: ({ prompt, password }) => {
    append('pre', 'stdout', prompt);
    input.ask(prompt, password);
  },
  ClearOutput: () => output.replaceChildren(),
  GapOutput: ({ reason, droppedBytes }) =>
    append('pre', 'note', `[output missing: ${reason}, ${droppedBytes ?? '?'} bytes]\n`),
  ExecutionFinished: ({ execution: { status, durationMs, stateLost, exitCode, signal } }) => {
    const took = durationMs === null ? '' : ` after ${Math.round(durationMs)} ms`;
    const how = signal ?? (exitCode === null ? '' : `exit code ${exitCode}`);
    const lost = stateLost ? '; variables were lost' : '';
    state.textContent = `${status}${took}${how && `; ${how}`}${lost}`;
  },
};

const input = inputLine({
  call,
  show: (text) => append('pre', 'note', text),
  fail: (error) => {
    state.textContent = error.message;
  },
});

async function run() {
  output.replaceChildren();
  state.textContent = 'waiting for a worker';
  const { submit } = await call(
    'mutation ($input: ExecuteInput!) { submit(input: $input) { id } }',
    {
      input: {
        userUuid: user.value,
        language: language.value,
        code: code.value,
        ...(byId('asks').checked && { allowInput: true }),
      },
    },
  );
  state.textContent = 'running';
  running = submit.id;
  if (byId('asks').checked) input.begin(submit.id, language.value);
  byId('interrupt').disabled = false;
  await socket.run(OUTPUT, { id: submit.id }, ({ data, errors }) => {
    if (errors) throw new Error(errors.map(({ message }) => message).join('\n'));
    SHOW[data.output.__typename]?.(data.output);
  });
}

async function interrupt() {
  if (running)
    await call('mutation ($id: ID!) { interrupt(input: { executionId: $id }) { id } }', {
      id: running,
    });
}

async function restart() {
  await call('mutation ($user: String!) { restartKernel(input: { userUuid: $user }) { id } }', {
    user: user.value,
  });
  state.textContent = 'a fresh kernel; files are still there';
}

async function release() {
  const { release: done } = await call(
    'mutation ($user: String!) { release(input: { userUuid: $user }) { released } }',
    { user: user.value },
  );
  state.textContent = done.released ? 'session released' : 'there was no session';
}

/** Runs `action` when the button is clicked. An error is shown beside the buttons. */
function bind(id, action, after = () => undefined) {
  const button = byId(id);
  button.addEventListener('click', async () => {
    if (!byId('who').reportValidity()) return;
    button.disabled = true;
    try {
      await action();
    } catch (error) {
      state.textContent = error.message;
    } finally {
      button.disabled = false;
      after();
    }
  });
}

async function followPool() {
  if (!token.value) return;
  await socket.run(
    'subscription { poolStatus { idleWorkers busyWorkers startingWorkers } }',
    {},
    ({ data }) => {
      const { idleWorkers, busyWorkers, startingWorkers } = data?.poolStatus ?? {};
      byId('pool').textContent =
        `${idleWorkers} idle, ${busyWorkers} busy, ${startingWorkers} starting`;
    },
  );
}

function showPool() {
  followPool().catch((error) => {
    byId('pool').textContent = error.message;
  });
}

token.value = sessionStorage.getItem(TOKEN_KEY) ?? '';
user.value = localStorage.getItem(USER_KEY) ?? crypto.randomUUID?.() ?? 'me';
localStorage.setItem(USER_KEY, user.value);
code.value = SAMPLE;
token.addEventListener('change', () => {
  sessionStorage.setItem(TOKEN_KEY, token.value.trim());
  socket.close();
  socket = createGraphqlSocket(() => token.value.trim());
  showPool();
});
user.addEventListener('change', () => localStorage.setItem(USER_KEY, user.value));
byId('who').addEventListener('submit', (event) => event.preventDefault());
code.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) byId('run').click();
});
const refreshFiles = showFiles({
  token: () => token.value.trim(),
  user: () => user.value,
  call,
});
bind('run', run, () => {
  running = null;
  input.end();
  refreshFiles();
  byId('interrupt').disabled = true;
});
bind('interrupt', interrupt, () => {
  byId('interrupt').disabled = running === null;
});
bind('restart', restart);
bind('release', release);
showPool();
