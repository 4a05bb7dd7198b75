/** A timer that rings once, at the earliest time requested. */
export interface Alarm {
  within(ms: number): void;
  cancel(): void;
}

export function createAlarm(ring: () => void): Alarm {
  let timer: NodeJS.Timeout | null = null;
  let ringsAt = 0;
  const cancel = () => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
  };
  return {
    within: (ms) => {
      const at = Date.now() + ms;
      if (timer !== null && at >= ringsAt) return;
      cancel();
      ringsAt = at;
      timer = setTimeout(ring, ms);
    },
    cancel,
  };
}
