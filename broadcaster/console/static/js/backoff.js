// Waiting times between tries: doubling with jitter, so that a restarted daemon is not met by all pages at once.

export class Backoff {
  constructor(first = 300, most = 8000) {
    this.first = first;
    this.most = most;
    this.reset();
  }

  reset() {
    this.delay = this.first;
  }

  /** Milliseconds to wait before the next try. */
  next() {
    const wait = this.delay * (0.75 + Math.random() / 2);
    this.delay = Math.min(this.most, this.delay * 2);
    return wait;
  }
}
