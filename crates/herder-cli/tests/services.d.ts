// What the library herder offers, as `herder sig --ts` wrote it.
import type { CallOptions, Subscription } from 'herder';

export interface Herder {
  /** Messages between the processes of a herd. */
  bus: Bus;
  /** The app's own jobs: what they are, when they run, who runs them. */
  jobs: Jobs;
  /** Values that all workers share, in namespaces. */
  state: State;
}

/** Messages between the processes of a herd. */
export interface Bus {
  /** Answers a request. */
  reply(request: number, payload?: any, options?: CallOptions): Promise<null>;
  reply(request: number, options: CallOptions): Promise<null>;
  /**
   * Sends a message, and waits for the first answer. Fails with `no_answer` when everybody who
   * got it is gone.
   */
  request(to: "all" | "everywhere" | { library: string } | "others" | { pid: number } | "random" | { slot: number } | { worker: number } | "workers", topic: string, payload?: any, options?: CallOptions): Promise<any>;
  request(to: "all" | "everywhere" | { library: string } | "others" | { pid: number } | "random" | { slot: number } | { worker: number } | "workers", topic: string, options: CallOptions): Promise<any>;
  /** Sends a message, and says how many get it. Fails with `no_receiver` when nobody does. */
  send(to: "all" | "everywhere" | { library: string } | "others" | { pid: number } | "random" | { slot: number } | { worker: number } | "workers", topic: string, payload?: any, options?: CallOptions): Promise<{ machines: number; receivers: number }>;
  send(to: "all" | "everywhere" | { library: string } | "others" | { pid: number } | "random" | { slot: number } | { worker: number } | "workers", topic: string, options: CallOptions): Promise<{ machines: number; receivers: number }>;
  /** The messages of these topics from now on. */
  subscribe(topics: string[], options?: CallOptions): Subscription<{ from: Sender; payload: any; request: number | null; topic: string }>;
}

/** The app's own jobs: what they are, when they run, who runs them. */
export interface Jobs {
  /** Makes a job, or changes it. */
  define(name: string, definition: { jitter_ms?: number; misfire?: "skip" | "once" | { all: number }; overlap?: "skip" | "queue" | "allow"; retries?: number; start?: "tick" | "immediate"; target?: "worker" | "all" | "library" | "cluster"; timeout_ms?: number; timing: string }, options?: CallOptions): Promise<null>;
  /** Says how a run ended: no failure = well. */
  done(run: number, failure?: string | null, options?: CallOptions): Promise<null>;
  done(run: number, options: CallOptions): Promise<null>;
  /** What happened, latest first; of one job, or of all. */
  history(name: string | null, limit: number, options?: CallOptions): Promise<HistoryEntry[]>;
  /** All jobs. */
  list(options?: CallOptions): Promise<JobView[]>;
  /** Has a job not be due until it is resumed. */
  pause(name: string, options?: CallOptions): Promise<null>;
  /** Removes a job. What runs goes on. */
  remove(name: string, options?: CallOptions): Promise<null>;
  /** Has a job be due again. */
  resume(name: string, options?: CallOptions): Promise<null>;
  /** Runs a job now, beside its times. */
  run_now(name: string, options?: CallOptions): Promise<null>;
  /**
   * Offers to run these jobs: what is to be run comes until the stream is left. Whoever leaves
   * it loses its runs.
   */
  serve(jobs: string[], options?: CallOptions): Subscription<{ cancel: { run: number } } | { run: { attempt: number; name: string; run: number; tick: number; timeout_ms: number; token: number | null } }>;
}

/** Values that all workers share, in namespaces. */
export interface State {
  /** Gets a lease, unless another has it. It ends with the caller, or after `ttl_ms`. */
  acquire(space: string, name: string, ttl_ms: number, options?: CallOptions): Promise<{ held: { left_ms: number } } | { ours: { token: number } }>;
  /** Deletes a value, if it has this revision; whether there was one. */
  delete(space: string, key: string, if_revision?: number | null, options?: CallOptions): Promise<boolean>;
  delete(space: string, key: string, options: CallOptions): Promise<boolean>;
  /** The value of a key. Of a store it may be as old as the news of a change needs to get here. */
  get(space: string, key: string, options?: CallOptions): Promise<Entry | null>;
  /** The value of a key, asked for where it is. */
  get_fresh(space: string, key: string, options?: CallOptions): Promise<Entry | null>;
  /** Adds to a number, and returns the sum. A new one lives for `ttl_ms`. */
  increment(space: string, key: string, by: number, ttl_ms?: number | null, options?: CallOptions): Promise<number>;
  increment(space: string, key: string, by: number, options: CallOptions): Promise<number>;
  /** Whether one more is allowed: `count` at once, and in `per_ms` on the average. */
  limit(space: string, key: string, count: number, per_ms: number, options?: CallOptions): Promise<{ allowed: boolean; left: number; retry_after_ms: number }>;
  /** Whether this is the first time within `ttl_ms`. */
  once(space: string, key: string, ttl_ms: number, options?: CallOptions): Promise<boolean>;
  /** Gives a lease back. Fails with `not_held`. */
  release(space: string, name: string, token: number, options?: CallOptions): Promise<null>;
  /** Prolongs a lease. Fails with `not_held`. */
  renew(space: string, name: string, token: number, ttl_ms: number, options?: CallOptions): Promise<null>;
  /** Entries whose keys begin with `prefix`, in the order of keys, after the key `after`. */
  scan(space: string, prefix: string, after: string | null, limit: number, options?: CallOptions): Promise<{ entries: [string, Entry][]; next: string | null }>;
  /**
   * Writes a value, and returns its revision. Fails with `conflict` when a condition does not
   * hold.
   */
  set(space: string, key: string, value: Uint8Array | ArrayBuffer, options_: { if_revision?: number | null; ttl_ms?: number | null }, options?: CallOptions): Promise<number>;
  /** The values whose keys begin with `prefix`, and what changes. */
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
