import { EventEmitter } from 'events';

export type ErrorKind = 'app' | 'bad_arguments' | 'cancelled' | 'codec' | 'deadline' | 'no_object' | 'no_method'
  | 'overloaded' | 'panicked' | 'refused' | 'too_large' | 'unavailable';
export type Executed = 'no' | 'yes' | 'maybe';

/** Why a call or a stream failed. */
export class HerderError extends Error {
  kind: ErrorKind;
  /** Whether the method ran. */
  executed: Executed;
  /** The application's code, data and error name. */
  code?: string;
  data?: unknown;
  appName?: string;
  /** When to try again, in milliseconds. */
  retryAfter?: number;
  /** `object.method`. */
  target?: string;
  /** Which incarnation of the library it was. */
  epoch?: number;
}

export interface CallOptionFields {
  /** How long it may take, in milliseconds. Default: the method's, or 5 s. */
  deadline?: number;
  /** Gives the call up. */
  signal?: AbortSignal;
  /** Calls with the same key are the same call. */
  key?: string;
  /** Whether a safe call may be made again. Default: yes. */
  retry?: boolean;
  /** How long to wait for a library that is away, in milliseconds; 0: fail at once rather than wait for anything. */
  wait?: number;
  /** For a stream: how many items it may be ahead of its reader. */
  credits?: number;
}
export class CallOptions {}
/** Options for one call, given behind its arguments. */
export function options(fields: CallOptionFields): CallOptions;

/** Stands in a stream where items are missing. */
export class Gap {
  reason: string;
  missed?: number;
}
export type Item<T> = { kind: 'item' | 'snapshot'; seq: number | bigint; value: T }
  | { kind: 'snapshot_end'; seq: number | bigint } | { kind: 'gap'; reason: string; missed?: number };

/** A stream of a library, which goes on after the library was replaced. */
export class Subscription<T = any> implements AsyncIterableIterator<T | Gap> {
  /** Resolves when the library has opened the stream. */
  opened: Promise<this>;
  /** Told when a stream with a callback has ended. */
  onend?: (error?: HerderError) => void;
  /** Every item with its kind. */
  items(): AsyncIterableIterator<Item<T>>;
  close(): void;
  next(): Promise<IteratorResult<T | Gap>>;
  return(value?: any): Promise<IteratorResult<T | Gap>>;
  [Symbol.asyncIterator](): this;
}

export interface LibraryPlace { name: string; path: string }
/** The client of one library. Emits `up(epoch)` and `down(error)`. */
export interface LibraryAgent extends EventEmitter { name: string; epoch: number; signature: any }

/** The objects of all libraries of this herd. */
export function agent<T = any>(options?: { timeout?: number }): Promise<T>;
/** The objects of given libraries, not shared. */
export function connect<T = any>(options?: {
  libraries?: LibraryPlace[]; timeout?: number; reconnectWait?: number; identity?: object;
}): Promise<T>;
export function agentsOf(objects: any): LibraryAgent[];
export function close(objects: any): void;

export interface Caller { part: string; slot: number; worker: number; pid: number }
export interface Context {
  caller: Caller;
  epoch: number;
  key?: string;
  /** How much time is left, in milliseconds. */
  readonly remaining: number;
  /** Aborted when nobody waits any more. */
  readonly signal: AbortSignal;
}
/** In a method of a library: the call that is being served. */
export function context(): Context | undefined;

export interface MethodOptions {
  kind?: 'call' | 'events' | 'notify' | 'state';
  args?: string[];
  doc?: string;
  idempotent?: boolean;
  deadline?: number;
  concurrency?: number;
  queue?: number;
}
export type Exposed = string[] | Record<string, MethodOptions>;
/** Says which methods of an object can be called. */
export function expose<T extends object>(object: T, methods: Exposed): T;

export interface Library { close(): Promise<void>; kill(): void }
/** Offers objects to the agents of this herd. */
export function host(exported: any, options?: {
  expose?: Record<string, Exposed>; close?: () => void | Promise<void>;
  path?: string; fd?: number; name?: string; epoch?: number; herd?: string;
}): Promise<Library>;

/** A map whose changes can be watched. */
export class State<V = any> {
  constructor(entries?: Iterable<[string, V]>);
  get(key: string): V | undefined;
  set(key: string, value: V): this;
  delete(key: string): boolean;
  watch(prefix?: string): object;
}
/** Events in their order, of which the last are kept. */
export class Events<T = any> {
  constructor(options?: { size?: number; slow?: 'block' | 'disconnect' | 'drop' });
  emit(value: T): void;
  stream(): object;
}

export type Receiver = 'all' | 'everywhere' | 'others' | 'random' | 'workers'
  | { slot: number } | { worker: number } | { pid: number } | { library: string };
export interface Message<T = any> { topic: string; payload: T; from: Caller; request: number | null }
export class Bus {
  send(to: Receiver, topic: string, payload?: unknown, options?: CallOptions): Promise<any>;
  broadcast(topic: string, payload?: unknown): Promise<any>;
  request<T = any>(to: Receiver, topic: string, payload?: unknown, options?: CallOptions): Promise<T>;
  subscribe<T = any>(topics: string | string[], options?: CallOptions): Subscription<Message<T>>;
  on<T = any>(topic: string, listener: (payload: T, message: Message<T>) => any): Subscription<Message<T>>;
}
export function bus(): Promise<Bus>;
/** The shared state of one namespace. */
export function state(namespace: string): Promise<any>;
/** The app's own jobs. */
export function jobs(): Promise<any>;
