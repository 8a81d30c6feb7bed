/** Virtual time: a heap of what happens when. Nothing here waits. */

interface Event {
  atMs: number;
  /** Order of entry: of two events at one instant the older comes first. */
  order: number;
  run: (nowMs: number) => void;
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

export class Events {
  nowMs = 0;
  private readonly heap: Event[] = [];
  private order = 0;

  /** @param atMs not before now: an earlier time counts as now */
  at(atMs: number, run: (nowMs: number) => void): void {
    const event = { atMs: Math.max(atMs, this.nowMs), order: this.order++, run };
    const { heap } = this;
    let place = heap.push(event) - 1;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!isBefore(event, heap[parent])) break;
      heap[place] = heap[parent];
      place = parent;
    }
    heap[place] = event;
  }

  /** Runs the next event; false when there is none. */
  step(): boolean {
    const { heap } = this;
    if (heap.length === 0) return false;
    const first = heap[0];
    const last = heap.pop() as Event;
    if (heap.length > 0) this.sink(last);
    this.nowMs = first.atMs;
    first.run(first.atMs);
    return true;
  }

  private sink(event: Event): void {
    const { heap } = this;
    let place = 0;
    for (;;) {
      let child = place * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1], heap[child])) child++;
      if (!isBefore(heap[child], event)) break;
      heap[place] = heap[child];
      place = child;
    }
    heap[place] = event;
  }
}
