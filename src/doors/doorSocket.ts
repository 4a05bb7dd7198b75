/**
 * An open WebSocket of a door. The server sends the pings, and closes it by itself: with 1012 when the gateway stops, with
 * 1008 when the token ends, with 1009 for a message above MAX_BODY_BYTES, with 1013 if the client reads nothing.
 */
export interface DoorSocket {
  /** The subprotocol. Empty: none. */
  readonly protocol: string;
  readonly isOpen: boolean;
  /** Resolves when the operating system has taken the data, or never will: then the socket is closed. */
  send(data: string | Uint8Array): Promise<void>;
  /** Called with each message, in order: text is a string, binary data a Buffer. */
  onMessage(listener: (data: string | Buffer) => void): void;
  /** Called once, when it is closed. */
  onClose(listener: (code: number) => void): void;
  close(code: number, reason: string): void;
}
