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
export class CallOptions {
  private constructor();
  private readonly options: never;
}
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

/** Of this machine's herd; `everywhere`: of all machines that share the store. */
export type Receiver = 'all' | 'everywhere' | 'others' | 'random' | 'workers'
  | { slot: number } | { worker: number } | { pid: number } | { library: string };
export interface Message<T = any> { topic: string; payload: T; from: Caller; request: number | null }
export interface Delivery { receivers: number; machines: number }
/** Messages between the processes of the herd. */
export class Bus {
  /** How many receive it; rejects with the code `no_receiver` when nobody does. */
  send(to: Receiver, topic: string, payload?: unknown, options?: CallOptions): Promise<Delivery>;
  broadcast(topic: string, payload?: unknown): Promise<Delivery>;
  /** The first answer; rejects with the code `no_answer` when everybody who got it is gone. */
  request<T = any>(to: Receiver, topic: string, payload?: unknown, options?: CallOptions): Promise<T>;
  subscribe<T = any>(topics: string | string[], options?: CallOptions): Subscription<Message<T>>;
  /** What the listener returns, or resolves to, is the answer to a request. */
  on<T = any>(topic: string, listener: (payload: T, message: Message<T>) => any): Subscription<Message<T>>;
}
export function bus(): Promise<Bus>;

export interface Entry<V = any> {
  key: string;
  value: V;
  /** Greater with every change; never used twice. */
  revision: number;
  /** How long it lives on, in milliseconds; null: until it is deleted. */
  ttl: number | null;
}
export interface Deleted { key: string; value: undefined; deleted: true }
export interface SetFields {
  /** How long it lives, in milliseconds. Default: until it is deleted. */
  ttl?: number;
  /** Only over this revision (0: only if there is none), else it rejects with the code `conflict`. */
  ifRevision?: number;
}
/** Values that all processes of the herd share, under one name: JSON, or bytes. Times are in milliseconds. */
export class Namespace<V = any> {
  readonly name: string;
  get(key: string, options?: CallOptions): Promise<V | undefined>;
  getEntry(key: string, options?: CallOptions): Promise<Entry<V> | undefined>;
  /** The same, asked for where it is: other values of a store may be as old as the news of a change needs. */
  getFresh(key: string, options?: CallOptions): Promise<Entry<V> | undefined>;
  /** The bytes of a value, whatever they are. */
  getBuffer(key: string, options?: CallOptions): Promise<Buffer | undefined>;
  /** The new revision. */
  set(key: string, value: V, options?: CallOptions): Promise<number>;
  set(key: string, value: V, fields: SetFields, options?: CallOptions): Promise<number>;
  /** The sum. */
  increment(key: string, by?: number, fields?: { ttl?: number }, options?: CallOptions): Promise<number>;
  /** Without the sum: kept while the store is away, and added when it is back. */
  add(key: string, by?: number, options?: CallOptions): Promise<void>;
  /** Whether there was one. */
  delete(key: string, options?: CallOptions): Promise<boolean>;
  delete(key: string, fields: { ifRevision?: number }, options?: CallOptions): Promise<boolean>;
  scan(prefix?: string, fields?: { after?: string; page?: number }, options?: CallOptions): AsyncGenerator<Entry<V>, void>;
  /** What is there, then what changes. After a `Gap` all that is there is told again. */
  watch(prefix?: string, options?: CallOptions): Watch<V>;
  /** Null when another has it, and it was not waited for (milliseconds; true: for ever). */
  lease(name: string, fields?: { ttl?: number; wait?: number | true }, options?: CallOptions): Promise<Lease | null>;
  /** Whether one more is allowed: `count` at once, and in `per` milliseconds on the average. */
  limit(key: string, rate: { count: number; per: number }, options?: CallOptions):
    Promise<{ allowed: boolean; left: number; retryAfter: number }>;
  /** Whether this is the first time within `ttl`. */
  once(key: string, fields: { ttl: number }, options?: CallOptions): Promise<boolean>;
}
export interface Watch<V = any> extends AsyncIterableIterator<Entry<V> | Deleted | Gap> {
  opened: Promise<this>;
  close(): void;
}
/** What only one process has at a time. It renews itself. */
export interface Lease {
  readonly name: string;
  /** Greater than that of every lease before: what you write to refuses a smaller one than it has seen. */
  readonly token: number;
  readonly held: boolean;
  /** Aborted when it is lost or released. */
  readonly signal: AbortSignal;
  /** Whether it was still held. */
  release(): Promise<boolean>;
}
/** The values that all share under this name. */
export function state<V = any>(name: string): Promise<Namespace<V>>;

export interface JobDefinition {
  /** `0 3 * * * Europe/Berlin`, with seconds in front if there are six fields, or `every 10s`. */
  timing: string;
  /** Who runs it: one worker, each of them, a library, or one worker of all machines that share the store. */
  target?: 'worker' | 'all' | 'library' | 'cluster';
  /** When it is due and still runs. */
  overlap?: 'skip' | 'queue' | 'allow';
  /** For which of the ticks that it is too late for it is made up. */
  misfire?: 'skip' | 'once' | { all: number };
  /** How long a run may take, in milliseconds. */
  timeout?: number;
  retries?: number;
  /** A run begins at most so much later than its tick, in milliseconds. */
  jitter?: number;
  /** `immediate`: it runs at the start of the herd, too. */
  start?: 'tick' | 'immediate';
}
export interface Job extends Required<JobDefinition> {
  name: string; next: Date | null; last: Date | null; paused: boolean; running: number;
}
export interface HistoryEntry {
  name: string; tick: Date; attempt: number; started: Date | null; ended: Date; retried: boolean; reason: string | null;
  outcome: 'succeeded' | 'failed' | 'lost' | 'missed' | 'nobody-there' | 'overlapped' | 'timed-out';
}
export interface Run {
  name: string;
  /** When it was due. */
  tick: Date;
  /** Which try it is, from 1. */
  attempt: number;
  /** Of a job of the cluster: what you write to refuses a smaller one than it has seen. */
  token: number | null;
  timeout: number;
  /** Aborted when nobody waits for the run any more. */
  signal: AbortSignal;
}
export interface JobServer {
  opened: Promise<this>;
  ended: Promise<void>;
  onend: ((error: HerderError) => void) | null;
  close(): void;
}
/** The app's own jobs. */
export class Jobs {
  define(name: string, definition: string | JobDefinition): Promise<void>;
  list(): Promise<Job[]>;
  history(name?: string | null, limit?: number): Promise<HistoryEntry[]>;
  pause(name: string): Promise<void>;
  resume(name: string): Promise<void>;
  remove(name: string): Promise<void>;
  runNow(name: string): Promise<void>;
  /** Runs the job in this process when it is its turn; the run fails when the listener throws or rejects. */
  on(name: string, listener: (run: Run) => any): JobServer;
}
export function jobs(): Promise<Jobs>;
