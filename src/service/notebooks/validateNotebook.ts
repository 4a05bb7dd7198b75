import { NOTEBOOK_TYPES, type NotebookFacts, type NotebookType } from '../../domain/notebook.ts';
import type { KernelView } from '../contexts/kernelView.ts';
import { refuse } from '../validate.ts';

/** Linux allows no longer path. */
const MAX_PATH_CHARS = 4_095;
const MAX_NAME_CHARS = 255;

export interface NotebookRequest {
  readonly path: string;
  readonly name: string;
  readonly type: string;
}

/** @throws BAD_USER_INPUT */
export function validateNotebook(
  { path, name, type }: NotebookRequest,
  { context, userUuid }: KernelView,
): NotebookFacts {
  requireText('path', path, MAX_PATH_CHARS);
  requireText('name', name, MAX_NAME_CHARS);
  if (!isType(type)) refuse('type', `must be one of ${NOTEBOOK_TYPES.join(', ')}`, {});
  return { path, name, type, contextId: context.id, userUuid };
}

function requireText(field: string, text: string, limit: number): void {
  if (text.length > limit || text.includes('\0') || !text.isWellFormed())
    refuse(field, `must be text of at most ${limit} characters, without U+0000`, { limit });
}

function isType(type: string): type is NotebookType {
  return NOTEBOOK_TYPES.some((each) => each === type);
}
