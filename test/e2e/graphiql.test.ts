/** The pages in a real browser: GraphiQL and the console ask for the token and show streams. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startTestGateway, type TestGateway } from '../../testkit/gateway.ts';
import { submit } from '../../testkit/interpreter.ts';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

/** Chromium's sandbox is off: it refuses to run as root, and many containers forbid it. Only our pages are opened. */
function launchBrowser(): Promise<Browser> {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const executablePath = folders
    .flatMap((folder) => NAMES.map((name) => join(folder, name)))
    .find((path) => existsSync(path));
  if (!executablePath) throw new Error('There is no Chromium. npm test installs it.');
  return chromium.launch({ executablePath, args: ['--no-sandbox'] });
}

const EXECUTE = `mutation {
  execute(input: { userUuid: "me", code: "a = 10\\nprint(a * 20)" }) {
    status
    stdout
  }
}`;
const FOLLOW = `subscription {
  sessionOutput(userUuid: "me") {
    seq
    ... on StreamOutput { text }
    ... on ExecutionFinished { execution { status } }
  }
}`;
/** Code that runs until it is interrupted, so that the page cannot miss its output. */
const ENDLESS = "import time\nprint('line one', flush=True)\ntime.sleep(60)";

let gateway: TestGateway;
let browser: Browser;
let page: Page;
let foreign: string[];

beforeAll(async () => {
  gateway = await startTestGateway({ MIN_IDLE_WORKERS: '1', MAX_TOTAL_WORKERS: '3' });
  browser = await launchBrowser();
});
afterAll(async () => {
  await browser.close();
  await gateway.destroy();
});
beforeEach(async () => {
  page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  foreign = [];
  page.on('request', (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol.startsWith('http') && origin !== gateway.url) foreign.push(request.url());
  });
});
afterEach(async () => {
  await page.close();
  expect(foreign).toEqual([]);
});

async function openGraphiql(query: string): Promise<void> {
  await page.goto(`${gateway.url}/graphql?query=${encodeURIComponent(query)}`);
  await page.waitForSelector('.graphiql-container .view-line');
}

async function enterToken(token: string): Promise<void> {
  await page.fill('#token', token);
  await Promise.all([page.waitForEvent('load'), page.click('#token-bar button')]);
  await page.waitForSelector('.graphiql-container .view-line');
}

async function resultSays(text: string): Promise<void> {
  await page.locator('.result-window', { hasText: text }).waitFor();
}

describe('GraphiQL', () => {
  it('asks for the token, and says when it is wrong', async () => {
    await openGraphiql(EXECUTE);
    expect(await page.textContent('#token-state')).toContain('needed');
    await enterToken('wrong');
    await page.locator('#token-state', { hasText: 'wrong' }).waitFor();
    await resultSays('UNAUTHENTICATED');
  });

  it('runs code and shows a subscription as it streams', async () => {
    await openGraphiql(EXECUTE);
    await enterToken(gateway.token);
    await page.click('.graphiql-execute-button');
    await resultSays('200');

    await openGraphiql(FOLLOW);
    const subscribed = page.waitForResponse(
      (response) => response.headers()['content-type']?.startsWith('text/event-stream') ?? false,
    );
    await page.click('.graphiql-execute-button');
    await subscribed;
    const { id } = await submit(gateway, 'me', ENDLESS);
    await resultSays('line one');
    expect(await statusOf(id)).toBe('RUNNING');
    await gateway.graphql('mutation ($id: ID!) { interrupt(input: { executionId: $id }) { id } }', {
      id,
    });
    await resultSays('INTERRUPTED');
  });
});

async function newestId(userUuid: string): Promise<string | undefined> {
  const { data } = await gateway.graphql<{
    executions: { edges: { node: { id: string } }[] };
  }>('query ($user: String!) { executions(userUuid: $user, first: 1) { edges { node { id } } } }', {
    user: userUuid,
  });
  return data?.executions.edges[0]?.node.id;
}

describe('the console', () => {
  beforeEach(async () => {
    await page.goto(gateway.url);
    await page.fill('#token', gateway.token);
    await page.fill('#user', 'console-user');
    await page.press('#user', 'Tab');
  });

  it('shows output while the code runs, and interrupts it', async () => {
    await page.fill('#code', ENDLESS);
    await page.press('#code', 'Control+Enter');
    await page.locator('#output', { hasText: 'line one' }).waitFor();
    await page.click('#interrupt');
    await page.locator('#state', { hasText: 'INTERRUPTED' }).waitFor();
  });

  it('shows charts and errors, keeps variables, restarts and releases', async () => {
    await run('import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()\nb = 7', 'OK');
    expect(await page.locator('#output img').count()).toBe(1);
    await run('b / 0', 'ERROR');
    expect(await page.textContent('#output .error')).toContain('ZeroDivisionError');
    await page.click('#restart');
    await page.locator('#state', { hasText: 'fresh kernel' }).waitFor();
    await run('b', 'ERROR');
    expect(await page.textContent('#output .error')).toContain('NameError');
    await page.click('#release');
    await page.locator('#state', { hasText: 'session released' }).waitFor();
  });

  it('runs shell commands, and shows how they ended', async () => {
    await page.selectOption('#language', 'BASH');
    await run('echo from the shell', 'OK');
    await page.locator('#output', { hasText: 'from the shell' }).waitFor();
    await run('exit 3', 'ERROR');
    expect(await page.textContent('#state')).toMatch(/; exit code 3$/);
    expect(await page.textContent('#output .error')).toContain('CommandFailed: exit code 3');
    await page.selectOption('#language', 'PYTHON');
    await run('print(6 * 7)', 'OK');
  });

  it('asks for the input of code, and does not show a password', async () => {
    const line = page.locator('#line');
    const answer = async (text: string) => {
      await line.fill(text);
      await line.press('Enter');
    };
    await page.check('#asks');
    await page.fill(
      '#code',
      "name = input('Your name? ')\nfrom getpass import getpass\nword = getpass('Word: ')\nprint(name, len(word))",
    );
    await page.click('#run');
    await page.locator('#prompt', { hasText: 'Your name?' }).waitFor();
    expect(await line.getAttribute('type')).toBe('text');
    await answer('Ann');
    await page.locator('#prompt', { hasText: 'Word:' }).waitFor();
    expect(await line.getAttribute('type')).toBe('password');
    await answer('hunter-two');
    await page.locator('#state', { hasText: 'OK after' }).waitFor();
    const shown = await page.textContent('#output');
    expect(shown).toContain('Ann 10');
    expect(shown).not.toContain('hunter');
    await page.selectOption('#language', 'BASH');
    await page.fill('#code', 'cat');
    await page.click('#run');
    await answer('to be copied');
    await page.locator('#output .stdout', { hasText: 'to be copied' }).waitFor();
    await page.click('#end');
    await page.locator('#state', { hasText: 'OK after' }).waitFor();
    expect(await page.isVisible('#line')).toBe(false);
    await page.uncheck('#asks');
    await page.selectOption('#language', 'PYTHON');
  });

  it('keeps a line that is refused because other input was taken before it, and sends it at the next attempt', async () => {
    const line = page.locator('#line');
    await page.check('#asks');
    await page.selectOption('#language', 'BASH');
    await page.fill('#code', 'cat');
    await page.click('#run');
    await line.fill('first');
    await line.press('Enter');
    await page.locator('#output .stdout', { hasText: 'first' }).waitFor();
    // As if the answer to an earlier line had been lost: the page does not know of this input.
    const sent = await gateway.graphql(
      'mutation ($id: ID!, $text: String!) { sendInput(input: { executionId: $id, data: { text: $text } }) { offset } }',
      { id: await newestId('console-user'), text: 'unheard\n' },
    );
    expect(sent.errors).toBeUndefined();
    await line.fill('second');
    await line.press('Enter');
    await page.locator('#state', { hasText: 'Send it again' }).waitFor();
    await line.press('Enter');
    await page.locator('#output .stdout', { hasText: 'second' }).waitFor();
    await page.locator('#output .stdout', { hasText: 'unheard' }).waitFor();
    await page.click('#end');
    await page.locator('#state', { hasText: 'OK after' }).waitFor();
    await page.uncheck('#asks');
    await page.selectOption('#language', 'PYTHON');
  });

  it('uploads files by button and by drop, and downloads and deletes them', async () => {
    await page.fill('#user', 'files-user');
    await page.click('#refresh');
    await page.locator('#files-state', { hasText: 'no open session' }).waitFor();
    await page.setInputFiles('#chosen', {
      name: 'größe & 1.csv',
      mimeType: 'text/csv',
      buffer: Buffer.from('a,b\n1,2\n'),
    });
    await page.locator('#file-list', { hasText: 'größe & 1.csv' }).waitFor();
    await drop('dropped.txt', 'from outside');
    await page.locator('#file-list', { hasText: 'dropped.txt' }).waitFor();
    await run("open('sum.txt', 'w').write(open('größe & 1.csv').read() * 2)", 'OK');
    await page.locator('#file-list tr', { hasText: 'sum.txt' }).waitFor();
    expect(await page.locator('#file-list tr').count()).toBe(3);
    const [made] = await Promise.all([
      page.waitForEvent('download'),
      page.click('button[title="Download sum.txt"]'),
    ]);
    expect(made.suggestedFilename()).toBe('sum.txt');
    expect(await readFile(await made.path(), 'utf8')).toBe('a,b\n1,2\na,b\n1,2\n');
    page.once('dialog', (dialog) => dialog.accept());
    await page.click('button[title="Delete dropped.txt"]');
    await page.locator('#files-state', { hasText: '2 files' }).waitFor();
    expect(await page.locator('#file-list', { hasText: 'dropped.txt' }).count()).toBe(0);
  });

  it('says when a token is wrong', async () => {
    await page.fill('#token', 'wrong');
    await page.press('#token', 'Tab');
    await page.click('#run');
    await page.locator('#state', { hasText: 'The token is wrong, expired or revoked.' }).waitFor();
  });
});

/** Drops a file on the list, as a person does from outside the browser. */
async function drop(name: string, content: string): Promise<void> {
  const data = await page.evaluateHandle(
    ([fileName, text]) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([text], fileName));
      return transfer;
    },
    [name, content] as const,
  );
  await page.dispatchEvent('#files', 'drop', { dataTransfer: data });
}

async function run(code: string, status: string): Promise<void> {
  await page.fill('#code', code);
  await page.click('#run');
  await page.locator('#state', { hasText: `${status} after` }).waitFor();
}

async function statusOf(id: string): Promise<string | undefined> {
  const { data } = await gateway.graphql<{ execution: { status: string } }>(
    'query ($id: ID!) { execution(id: $id) { status } }',
    { id },
  );
  return data?.execution.status;
}
