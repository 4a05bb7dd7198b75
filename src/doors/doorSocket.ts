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
  /**
   * Resolves with true when the client has answered that everything sent before has arrived at it; with false, when the
   * socket is closed first. It is the client's WebSocket that answers: programs see nothing of it.
   */
  arrived(): Promise<boolean>;
  /** Called with each message, in order: text is a string, binary data a Buffer. */
  onMessage(listener: (data: string | Buffer) => void): void;
  /** Called once, when the gateway stops. It is waited for, for a second at most, before the socket is closed. */
  onStop(prepare: () => Promise<void>): void;
  /** Called once, when it is closed. */
  onClose(listener: (code: number) => void): void;
  close(code: number, reason: string): void;
}
