import { EventEmitter } from 'events';

export interface MasterOptions {
  /** Where the paths below begin. Default: the working directory. */
  baseDir?: string;
  /** What every app worker runs. Default: `index.js`. */
  appPath?: string;
  /** What the library exports. Default: `agent/lib/index.js`. */
  libraryPath?: string;
  /** How many app workers there are. Default: one for each CPU. */
  appWorkerCount?: number;
  /** Gets what happens, a sentence each. Default: `console.log`. */
  logging?: ((text: string) => void) | false;
  /** Whether to start the library. Default: yes. */
  needLibrary?: boolean;
  /** Whether every app worker gets an agent. Default: yes. */
  needAgent?: boolean;
  /** How long a call may take unless it says otherwise, in milliseconds. Default: 10 s. */
  deadline?: number;
}

/** Starts herder with a library and app workers. Emits `error` when a process dies. */
export class Master extends EventEmitter {
  constructor(options?: MasterOptions);
  /** Resolves when all are ready. */
  init(): Promise<void>;
  ready(callback?: () => void): Promise<void>;
  /** Stops the herd in order. */
  close(): Promise<void>;
}

export class Agent {
  /** The agent of this app worker. */
  static getAgent(): any;
}

/** What a call with a callback as its last argument returns. */
export interface Handle extends Promise<null> {
  /** Ends the subscription, here and in the library. */
  close(): void;
}
