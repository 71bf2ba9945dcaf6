'use strict';
// Where a stream is, and whether it goes on where it was after a new connection.

const START = { epoch: 0, seq: 0 };

class Place {
  constructor() {
    this.at = null;
    this.inSnapshot = false;
  }

  /** What to ask for when the stream is opened again. */
  resume() {
    return this.at && !this.inSnapshot ? this.at : START;
  }

  /** The library opened the stream: why something is missing, or nothing. */
  opened(epoch, seq) {
    const before = this.at;
    const interrupted = this.inSnapshot;
    this.at = { epoch, seq };
    this.inSnapshot = false;
    if (!before) return undefined;
    if (before.epoch !== epoch) return 'the library started again';
    if (interrupted) return 'the snapshot was interrupted and begins again';
    return before.seq === seq ? undefined : 'the library no longer holds what came in between';
  }

  item(seq) {
    if (this.at) this.at.seq = seq;
  }

  snapshot() {
    this.inSnapshot = true;
  }

  snapshotEnd(seq) {
    this.inSnapshot = false;
    this.item(seq);
  }
}

module.exports = { Place };
