/** The only place where ids are made. */
import { v7 } from 'uuid';
import type { AnyId, NewId } from '../domain/ids.ts';

/** The production {@link NewId}. Ids of one process sort in the order in which they were made. */
export const newId: NewId = <T extends AnyId>() => v7() as T;
