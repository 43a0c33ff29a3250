/** Of things that are asked one after the other and take their time the last one counts, whatever ends first. */

import { hush, say } from "./page";

/** Milliseconds after which the page says that it is at work. */
const LONG = 400;

export class Turns {
  private asked = new AbortController();

  /** What is under way counts no more. */
  pass(): void {
    this.asked.abort();
  }

  /** What `work` makes; null where its turn passed meanwhile. `doing` is said where it takes long. */
  async last<T>(doing: string, work: () => Promise<T>): Promise<T | null> {
    this.pass();
    const { signal } = (this.asked = new AbortController());
    const timer = setTimeout(() => doing && say(doing, 600), LONG);
    const fallSilent = (): void => {
      clearTimeout(timer);
      hush(doing);
    };
    signal.addEventListener("abort", fallSilent);
    try {
      const made = await work();
      return signal.aborted ? null : made;
    } catch (error) {
      if (signal.aborted) return null;
      throw error;
    } finally {
      if (!signal.aborted) fallSilent();
    }
  }
}
