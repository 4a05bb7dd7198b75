import type { ServedDoor } from '../domain/token.ts';
import { createE2bDoor } from './e2b/e2bDoor.ts';
import { createJupyterDoor } from './jupyter/jupyterDoor.ts';
import { createMcpDoor } from './mcp/mcpDoor.ts';
import type { DoorDeps, OpenDoor } from './openDoor.ts';
import { createPredecessorDoor } from './predecessor/predecessorDoor.ts';

/** How each door is made. */
const MAKERS: { readonly [Name in ServedDoor]: (deps: DoorDeps) => OpenDoor } = {
  predecessor: createPredecessorDoor,
  mcp: createMcpDoor,
  jupyter: createJupyterDoor,
  e2b: createE2bDoor,
};

/** Makes the doors that are on. @param names from the setting DOORS */
export function createDoors(names: readonly ServedDoor[], deps: DoorDeps): readonly OpenDoor[] {
  return names.map((name) => MAKERS[name](deps));
}
