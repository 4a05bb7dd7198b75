/** The open WebSockets of this gateway, by kernel. */
export interface Connections {
  of(kernelId: string): number;
  /**
   * The returned function takes it out.
   * @param reader what its client calls itself. An older connection to the kernel with the same name is replaced
   */
  add(connection: Connection): () => void;
}

export interface Connection {
  readonly kernelId: string;
  readonly reader: string | null;
  /** Another connection has taken its place. */
  replaced(): void;
}

export function createConnections(): Connections {
  const open = new Set<Connection>();
  return {
    of: (kernelId) => [...open].filter((each) => each.kernelId === kernelId).length,
    add: (connection) => {
      const { kernelId, reader } = connection;
      for (const each of open) {
        if (reader === null || each.kernelId !== kernelId || each.reader !== reader) continue;
        open.delete(each);
        each.replaced();
      }
      open.add(connection);
      return () => void open.delete(connection);
    },
  };
}
