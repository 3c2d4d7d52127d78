/**
 * What agents of one thread put off is run one by one, and between two of them the thread reads its sockets: agents of a real
 * fleet do not wait for each other's steps before they hear the registry. In the order in which it was put off.
 */
export class TurnQueue {
  #waiting: (() => void)[] = [];
  #taken = 0;
  #isUnderWay = false;

  readonly defer = (callback: () => void): void => {
    this.#waiting.push(callback);
    if (this.#isUnderWay) return;
    this.#isUnderWay = true;
    setImmediate(this.#next);
  };

  /** What `setImmediate` is asked for by one of its own callbacks waits for the next round of the event loop. */
  readonly #next = (): void => {
    this.#waiting[this.#taken]?.();
    this.#taken += 1;
    if (this.#taken < this.#waiting.length) return void setImmediate(this.#next);
    this.#waiting = [];
    this.#taken = 0;
    this.#isUnderWay = false;
  };
}
