/** The open WebSockets of this gateway, by kernel. */
export interface Connections {
  of(kernelId: string): number;
  /** The returned function takes it out. */
  add(kernelId: string): () => void;
}

export function createConnections(): Connections {
  const open = new Map<symbol, string>();
  return {
    of: (kernelId) => [...open.values()].filter((id) => id === kernelId).length,
    add: (kernelId) => {
      const connection = Symbol(kernelId);
      open.set(connection, kernelId);
      return () => {
        open.delete(connection);
      };
    },
  };
}
