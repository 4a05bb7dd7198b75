/**
 * A Map with at most `max` entries. `set` makes its entry the youngest. If there are then more than `max`, the oldest
 * is removed.
 */
export class BoundedMap<Key, Value> extends Map<Key, Value> {
  readonly #max: number;

  constructor(max: number) {
    super();
    this.#max = max;
  }

  override set(key: Key, value: Value): this {
    this.delete(key);
    super.set(key, value);
    if (this.size <= this.#max) return this;
    const [oldest] = this.entries();
    if (oldest) this.delete(oldest[0]);
    return this;
  }
}
