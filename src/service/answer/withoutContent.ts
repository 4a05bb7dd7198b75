/** What an auditor sees while AUDITOR_SEES_CODE is off: that something happened, when and by whom, but not what it was. */
import type { RecordedEvent } from '../../domain/events.ts';
import type { Answer } from './answer.ts';
import type { Assembled } from './assembledOutput.ts';

type Data = RecordedEvent['event']['data'];

const NOTHING: Assembled = {
  stdout: '',
  stderr: '',
  stdoutRendered: '',
  resultText: null,
  resultBase64: null,
};

/** The answer without code, output and input. Nothing of them is read. */
export function withoutContent(answer: Answer): Answer {
  return {
    ...answer,
    code: async () => '',
    assembled: async (_execution, name) => NOTHING[name],
    outputs: async () => [],
    error: async ({ status, errorName }) =>
      status === 'ERROR' ? { name: errorName ?? 'Error', value: '', traceback: [] } : null,
    eventData: (event) => {
      const { type, data } = event.event;
      const hidden = HIDDEN[type];
      return hidden === undefined
        ? answer.eventData(event)
        : answer.eventData(without(event, hidden, data));
    },
  };
}

/** The fields of event data that have code, output or input. */
const HIDDEN: { readonly [Type in RecordedEvent['event']['type']]?: readonly string[] } = {
  ExecutionRequested: ['code', 'userExpressions'],
  ExecutionFinished: ['errorValue'],
  InputSent: ['text', 'base64'],
};

function without(event: RecordedEvent, hidden: readonly string[], data: Data): RecordedEvent {
  const shown = Object.entries(data).filter(([name]) => !hidden.includes(name));
  return { ...event, event: { ...event.event, data: Object.fromEntries(shown) } } as RecordedEvent;
}
