/** The kinds of kernels: one of no environment, and one of each environment that serves new sessions. */
import type { DoorCall } from '../../openDoor.ts';
import { bad } from './body.ts';
import { KERNEL_NAME } from './models.ts';

/** The names of the environments of which kernels can be started, in alphabetical order. */
export async function environmentsOf({ service }: Pick<DoorCall, 'service'>): Promise<string[]> {
  const versions = await service.environments();
  const ready = versions.filter(({ environment }) => environment.state === 'READY');
  const names = new Set(ready.map(({ environment }) => environment.name));
  // What clients ask for without a choice is of no environment.
  names.delete(KERNEL_NAME);
  return [...names].sort();
}

/** What kernel a client asks for. Undefined: any, because it names none. Null: one of no environment. */
export type AskedKernelSpec = string | null | undefined;

/** @param name of a kernel spec @throws BAD_USER_INPUT if there is none of this name */
export async function askedSpec(
  call: Pick<DoorCall, 'service'>,
  name: string | null | undefined,
): Promise<AskedKernelSpec> {
  if (!name) return undefined;
  if (name === KERNEL_NAME) return null;
  const names = await environmentsOf(call);
  if (names.includes(name)) return name;
  throw bad(
    `There is no kernel spec of this name. There are: ${[KERNEL_NAME, ...names].join(', ')}.`,
  );
}
