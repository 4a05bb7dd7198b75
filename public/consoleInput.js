/** The line in which a person answers code that waits for input. */

const SEND = 'mutation ($input: SendInputInput!) { sendInput(input: $input) { nextOffset } }';

/**
 * @param {{ call: Function, show: (text: string) => void, fail: (error: Error) => void }} page `show` gets each line
 *   that was sent, unless it is a password
 * @returns {{ begin: Function, ask: Function, end: Function }}
 */
export function inputLine({ call, show, fail }) {
  const byId = (id) => document.getElementById(id);
  const [form, prompt, line] = ['input', 'prompt', 'line'].map(byId);
  let executionId = null;
  let offset = 0;
  let isCommand = false;

  /** With its offset, input that is sent again is applied once. One call at a time. */
  async function send(text, close, done) {
    const data = text === null ? null : { text };
    const variables = { input: { executionId, offset, data, close } };
    lock(true);
    try {
      offset = (await call(SEND, variables)).sendInput.nextOffset;
      done();
    } catch (error) {
      fail(afterOther(error));
    } finally {
      lock(false);
    }
  }

  function lock(isLocked) {
    line.readOnly = isLocked;
    for (const button of form.querySelectorAll('button')) button.disabled = isLocked;
  }

  /** Another client was first, or an answer was lost and the line changed since. The person decides what follows. */
  function afterOther(error) {
    const { code, expectedOffset } = error.extensions ?? {};
    if (code !== 'INPUT_OUT_OF_ORDER') return error;
    offset = expectedOffset;
    return new Error('Other input was taken before this line. Send it again if it is to follow.');
  }

  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const text = `${line.value}\n`;
    const isSecret = line.type === 'password';
    await send(text, false, () => {
      line.value = '';
      if (!isCommand) form.hidden = true;
      if (!isSecret) show(text);
    });
  });
  byId('end').addEventListener('click', () =>
    send(null, true, () => {
      form.hidden = true;
    }),
  );

  function ask(question, isSecret) {
    prompt.textContent = question || 'Input';
    line.type = isSecret ? 'password' : 'text';
    form.hidden = false;
    line.focus();
  }

  return {
    /** An execution that may get input. A command does not say when it waits, so it can always be answered. */
    begin: (id, language) => {
      executionId = id;
      offset = 0;
      isCommand = language === 'BASH';
      if (isCommand) ask('Input', false);
    },
    ask,
    end: () => {
      line.value = '';
      form.hidden = true;
    },
  };
}
