import type { Output } from '../../../domain/output.ts';
import type { Sent } from './messages.ts';

/**
 * The message that shows an output.
 * @param count the number of the cell, for a result that has none of its own
 */
export function outputMessage(
  output: Exclude<Output, { kind: 'expressions' }>,
  count: number,
): Sent {
  switch (output.kind) {
    case 'stream':
      return iopub('stream', { name: output.name, text: output.text });
    case 'display':
    case 'update': {
      const { data, metadata, displayId } = output;
      const transient = displayId === null ? {} : { display_id: displayId };
      const type = output.kind === 'display' ? 'display_data' : 'update_display_data';
      return iopub(type, { data, metadata, transient });
    }
    case 'result': {
      const { data, metadata, executionCount } = output;
      return iopub('execute_result', { data, metadata, execution_count: executionCount ?? count });
    }
    case 'error':
      return iopub('error', errorContent(output));
    case 'clear':
      return iopub('clear_output', { wait: output.wait });
    case 'input': {
      const { prompt, password } = output;
      return { channel: 'stdin', type: 'input_request', content: { prompt, password } };
    }
    case 'gap':
      return iopub('stream', { name: 'stderr', text: gapText(output) });
    default:
      return output satisfies never;
  }
}

/** An error as messages and replies contain it. */
export interface ErrorContent {
  readonly ename: string;
  readonly evalue: string;
  readonly traceback: readonly string[];
}

export function errorContent({
  name,
  value,
  traceback,
}: Omit<Extract<Output, { kind: 'error' }>, 'kind'>): ErrorContent & Record<string, unknown> {
  return { ename: name, evalue: value, traceback };
}

/** The results of a cell's user expressions, as its reply contains them. */
export function expressionsContent({
  results,
}: Extract<Output, { kind: 'expressions' }>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(results).map(([name, result]) => [
      name,
      result.status === 'ok'
        ? { status: 'ok', data: result.data, metadata: result.metadata }
        : { status: 'error', ...errorContent(result) },
    ]),
  );
}

function iopub(type: string, content: Sent['content']): Sent {
  return { channel: 'iopub', type, content };
}

function gapText({ reason, droppedBytes }: Extract<Output, { kind: 'gap' }>): string {
  const what = droppedBytes === null ? 'Output' : `${droppedBytes} bytes of output`;
  return `\n[Cellhouse: ${what} of this cell were dropped (${reason}).]\n`;
}
