// What the library herder offers, as `herder sig --ts` wrote it.
import type { CallOptions, Subscription } from 'herder';

export interface Herder {
  bus: Bus;
  jobs: Jobs;
  state: State;
}

export interface Bus {
  reply(request: number, payload?: any, options?: CallOptions): Promise<null>;
  reply(request: number, options: CallOptions): Promise<null>;
  request(to: "all" | "everywhere" | { library: string } | "others" | { pid: number } | "random" | { slot: number } | { worker: number } | "workers", topic: string, payload?: any, options?: CallOptions): Promise<any>;
  request(to: "all" | "everywhere" | { library: string } | "others" | { pid: number } | "random" | { slot: number } | { worker: number } | "workers", topic: string, options: CallOptions): Promise<any>;
  send(to: "all" | "everywhere" | { library: string } | "others" | { pid: number } | "random" | { slot: number } | { worker: number } | "workers", topic: string, payload?: any, options?: CallOptions): Promise<{ machines: number; receivers: number }>;
  send(to: "all" | "everywhere" | { library: string } | "others" | { pid: number } | "random" | { slot: number } | { worker: number } | "workers", topic: string, options: CallOptions): Promise<{ machines: number; receivers: number }>;
  subscribe(topics: string[], options?: CallOptions): Subscription<{ from: Sender; payload: any; request: number | null; topic: string }>;
}

export interface Jobs {
  define(name: string, definition: { jitter_ms?: number; misfire?: "skip" | "once" | { all: number }; overlap?: "skip" | "queue" | "allow"; retries?: number; start?: "tick" | "immediate"; target?: "worker" | "all" | "library" | "cluster"; timeout_ms?: number; timing: string }, options?: CallOptions): Promise<null>;
  done(run: number, failure?: string | null, options?: CallOptions): Promise<null>;
  done(run: number, options: CallOptions): Promise<null>;
  history(name: string | null, limit: number, options?: CallOptions): Promise<HistoryEntry[]>;
  list(options?: CallOptions): Promise<JobView[]>;
  pause(name: string, options?: CallOptions): Promise<null>;
  remove(name: string, options?: CallOptions): Promise<null>;
  resume(name: string, options?: CallOptions): Promise<null>;
  run_now(name: string, options?: CallOptions): Promise<null>;
  serve(jobs: string[], options?: CallOptions): Subscription<{ cancel: { run: number } } | { run: { attempt: number; name: string; run: number; tick: number; timeout_ms: number; token: number | null } }>;
}

export interface State {
  acquire(space: string, name: string, ttl_ms: number, options?: CallOptions): Promise<{ held: { left_ms: number } } | { ours: { token: number } }>;
  add(space: string, key: string, by: number, options?: CallOptions): Promise<null>;
  delete(space: string, key: string, if_revision?: number | null, options?: CallOptions): Promise<boolean>;
  delete(space: string, key: string, options: CallOptions): Promise<boolean>;
  get(space: string, key: string, options?: CallOptions): Promise<Entry | null>;
  get_fresh(space: string, key: string, options?: CallOptions): Promise<Entry | null>;
  increment(space: string, key: string, by: number, ttl_ms?: number | null, options?: CallOptions): Promise<number>;
  increment(space: string, key: string, by: number, options: CallOptions): Promise<number>;
  limit(space: string, key: string, count: number, per_ms: number, options?: CallOptions): Promise<{ allowed: boolean; left: number; retry_after_ms: number }>;
  once(space: string, key: string, ttl_ms: number, options?: CallOptions): Promise<boolean>;
  release(space: string, name: string, token: number, options?: CallOptions): Promise<null>;
  renew(space: string, name: string, token: number, ttl_ms: number, options?: CallOptions): Promise<null>;
  scan(space: string, prefix: string, after: string | null, limit: number, options?: CallOptions): Promise<{ entries: [string, Entry][]; next: string | null }>;
  set(space: string, key: string, value: Uint8Array | ArrayBuffer, options_: { if_revision?: number | null; ttl_ms?: number | null }, options?: CallOptions): Promise<number>;
  watch(space: string, prefix: string, options?: CallOptions): Subscription<{ key: string; value: Entry | null }>;
}

/** A value with its revision. */
export type Entry = { revision: number; ttl_ms: number | null; value: Buffer };

/** A line of the history. */
export type HistoryEntry = { attempt: number; ended: number; name: string; outcome: string; reason: string | null; retried: boolean; started: number | null; tick: number };

/** A job: when it is due, and who runs it. */
export type JobDefinition = { jitter_ms?: number; misfire?: "skip" | "once" | { all: number }; overlap?: "skip" | "queue" | "allow"; retries?: number; start?: "tick" | "immediate"; target?: "worker" | "all" | "library" | "cluster"; timeout_ms?: number; timing: string };

/** A job, as it stands. */
export type JobView = { definition: JobDefinition; last: number; name: string; next: number | null; paused: boolean; running: number };

/** Who sent a message. */
export type Sender = { part: string; pid: number; slot: number; worker: number };
