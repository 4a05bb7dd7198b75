/** The whole output of an execution, and its images, as resources. A result may have left out a part of them. */
import {
  type McpServer,
  type ReadResourceResult,
  ResourceNotFoundError,
  ResourceTemplate,
} from '@modelcontextprotocol/server';
import type { Execution } from '../../domain/execution.ts';
import type { BoundService } from '../../service/service.ts';
import { IMAGE_TEMPLATE, imageOf, OUTPUT_TEMPLATE, shownText } from './result.ts';
import type { McpCall } from './session.ts';
import { withMaskedErrors } from './tools/tool.ts';

/** The longest text of a resource, because a host takes a whole message into memory. A note replaces the rest. */
const MAX_TEXT_CHARS = 8_388_608;

/** Registers the resources with the server that answers this call. */
export function registerOutputResources(server: McpServer, { service, deps }: McpCall): void {
  server.registerResource(
    'output',
    new ResourceTemplate(OUTPUT_TEMPLATE, { list: undefined }),
    {
      title: 'Output of an execution',
      description: 'All that an execution has printed so far, and the texts that it has shown.',
      mimeType: 'text/plain',
    },
    ({ href: uri }, { execution_id }) =>
      withMaskedErrors(deps, async () => {
        const execution = await executionOf(service, uri, execution_id);
        const text = await wholeText(service, execution);
        return { contents: [{ uri, mimeType: 'text/plain', text }] };
      }),
  );
  server.registerResource(
    'image',
    new ResourceTemplate(IMAGE_TEMPLATE, { list: undefined }),
    { title: 'Image of an execution', description: 'An image that an execution has shown.' },
    ({ href: uri }, { execution_id, seq }) =>
      withMaskedErrors(deps, async () => {
        const execution = await executionOf(service, uri, execution_id);
        return await imageAt(service, execution, uri, Number(seq));
      }),
  );
}

async function executionOf(
  service: BoundService,
  uri: string,
  id: string | readonly string[] | undefined,
): Promise<Execution> {
  const execution = typeof id === 'string' ? await service.execution(id) : null;
  if (execution === null) throw new ResourceNotFoundError(uri);
  return execution;
}

async function wholeText(service: BoundService, execution: Execution): Promise<string> {
  let text = '';
  for (let after = 0; ; ) {
    const { items, isEnd } = await service.outputPage(execution, after);
    for (const { output, seq } of items) {
      after = seq;
      if (output.kind === 'stream') text += output.text;
      else if (output.kind === 'error') text += `${output.traceback.join('\n')}\n`;
      else if ('data' in output) text += `${shownText(output) ?? ''}\n`;
      if (text.length <= MAX_TEXT_CHARS) continue;
      const rest = `[The output goes on. At most ${MAX_TEXT_CHARS} characters are given.]`;
      return `${text.slice(0, MAX_TEXT_CHARS).toWellFormed()}\n${rest}`;
    }
    if (isEnd || items.length === 0) return text.toWellFormed();
  }
}

async function imageAt(
  service: BoundService,
  execution: Execution,
  uri: string,
  seq: number,
): Promise<ReadResourceResult> {
  if (!Number.isInteger(seq) || seq < 1) throw new ResourceNotFoundError(uri);
  const [item] = (await service.outputPage(execution, seq - 1)).items.filter(
    (one) => one.seq === seq,
  );
  const image = item && 'data' in item.output ? imageOf(item.output) : null;
  if (image === null) throw new ResourceNotFoundError(uri);
  return { contents: [{ uri, mimeType: image.mimeType, blob: image.data }] };
}
