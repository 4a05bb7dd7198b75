import type { Terminal } from '../../../../domain/executionOptions.ts';
import type { Fields } from '../../../shared/fields.ts';
import { countIn, flagIn, partIn, textIn } from '../rpc/fields.ts';
import { RpcError } from '../rpc/rpcError.ts';
import { codeOf } from './commandLine.ts';
import { folderOf } from './folderOf.ts';

/** What a message asks to start. */
export interface StartRequest {
  readonly code: string;
  readonly environmentVariables: readonly { readonly name: string; readonly value: string }[];
  /** Null: the home. */
  readonly folder: string | null;
  readonly label: string | null;
  readonly allowInput: boolean;
  readonly pty: Terminal | null;
}

/** @throws RpcError `invalid_argument` */
export function startRequestIn(message: Fields): StartRequest {
  const process = partIn(message, 'process') ?? {};
  const cmd = textIn(process, 'cmd');
  if (cmd === '') throw new RpcError('invalid_argument', 'cmd must not be empty.');
  const pty = terminalIn(message);
  return {
    code: codeOf({ cmd, args: textsIn(process, 'args') }),
    environmentVariables: variablesIn(process),
    folder: folderOf(textIn(process, 'cwd')),
    label: textIn(message, 'tag') || null,
    // Clients that do not know the field write to the process whenever they want.
    allowInput: pty === null && (flagIn(message, 'stdin') ?? true),
    pty,
  };
}

/** The size in a message. Null: it has none. @throws RpcError `invalid_argument` */
export function terminalIn(message: Fields): Terminal | null {
  const pty = partIn(message, 'pty');
  if (pty === null) return null;
  const size = partIn(pty, 'size') ?? {};
  return { columns: countIn(size, 'cols'), rows: countIn(size, 'rows') };
}

function textsIn(fields: Fields, name: string): string[] {
  const texts: unknown = fields[name] ?? [];
  if (Array.isArray(texts) && texts.every((text) => typeof text === 'string')) return texts;
  throw new RpcError('invalid_argument', `${name} must be a list of strings.`);
}

function variablesIn(process: Fields) {
  const envs = partIn(process, 'envs') ?? {};
  return Object.keys(envs).map((name) => ({ name, value: textIn(envs, name) }));
}
