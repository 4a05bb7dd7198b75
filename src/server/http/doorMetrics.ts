/** The metrics of the doors. */
import { Counter, Gauge, type Registry } from 'prom-client';
import type { DoorCounts } from '../doors/doorCounts.ts';
import type { DoorSockets } from '../doors/doorSockets.ts';

export interface DoorView {
  readonly doorCounts: Pick<DoorCounts, 'answers'>;
  readonly doorSockets: Pick<DoorSockets, 'count'>;
}

export function addDoors(registry: Registry, { doorCounts, doorSockets }: DoorView): void {
  const registers = [registry];
  new Counter({
    name: 'cellhouse_door_answers_total',
    help: 'Answers to HTTP requests by door and status. An upgrade to a WebSocket is none.',
    labelNames: ['door', 'status'],
    registers,
    collect() {
      this.reset();
      for (const { door, status, count } of doorCounts.answers) this.inc({ door, status }, count);
    },
  });
  new Gauge({
    name: 'cellhouse_door_websocket_connections',
    help: 'Open WebSocket connections of doors.',
    registers,
    collect() {
      this.set(doorSockets.count);
    },
  });
}
