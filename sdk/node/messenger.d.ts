import { EventEmitter } from 'events';
import { Bus } from './index';

/** Egg's messenger on the bus of the herd. Emits `egg-ready`, and `error` for what could not be sent. */
export class Messenger extends EventEmitter {
  constructor(bus?: () => Bus | Promise<Bus>);
  broadcast(action: string, data?: unknown): Promise<unknown>;
  sendToApp(action: string, data?: unknown): Promise<unknown>;
  sendToAgent(action: string, data?: unknown): Promise<unknown>;
  sendTo(pid: number | string, action: string, data?: unknown): Promise<unknown>;
  sendRandom(action: string, data?: unknown): Promise<unknown>;
  /** Resolves when what was listened for so far will be heard. */
  listening(): Promise<void>;
  close(): Promise<void>;
}

/** The messenger of this process. */
export const messenger: Messenger;
