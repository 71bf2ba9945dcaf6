'use strict';

/**
 * Messages between the processes of this herd. A receiver is 'all', 'everywhere', 'others', 'random',
 * 'workers', or one of `{slot}`, `{worker}`, `{pid}`, `{library}`.
 */
class Bus {
  constructor(object) {
    this.object = object;
  }

  /** How many receive it; rejects with the code `no_receiver` when nobody does. */
  send(to, topic, payload = null, ...options) {
    return this.object.send(to, topic, payload, ...options);
  }

  broadcast(topic, payload) {
    return this.send('all', topic, payload);
  }

  /** The answer of one receiver. */
  request(to, topic, payload = null, ...options) {
    return this.object.request(to, topic, payload, ...options);
  }

  /** All messages of these topics, to iterate. */
  subscribe(topics, ...options) {
    return this.object.subscribe([].concat(topics), ...options);
  }

  /**
   * Calls `listener(payload, message)` for each message of a topic. What it returns, or resolves to, is the
   * answer to a request. `close()` of what is returned ends it; `onend(error)` is told when it ended.
   */
  on(topic, listener) {
    const stream = this.subscribe(topic);
    this.listen(stream, listener);
    return stream;
  }

  async listen(stream, listener) {
    try {
      for await (const message of stream) {
        // Where a slow listener missed some.
        if (message.topic === undefined) this.missed?.(message);
        else this.deliver(message, listener);
      }
    } catch (error) {
      if (!stream.onend) process.emitWarning(error);
    }
  }

  async deliver(message, listener) {
    const { request, payload } = message;
    try {
      const answer = await listener(payload, message);
      if (request !== null && request !== undefined) await this.object.reply(request, answer ?? null);
    } catch (error) {
      process.emitWarning(error);
    }
  }
}

module.exports = { Bus };
