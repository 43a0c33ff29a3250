/** What the page keeps. A browser that is told to keep nothing throws at the asking: then it lasts as long as the page. */

class Kept {
  private readonly here = new Map<string, string>();

  constructor(private readonly storage: () => Storage) {}

  get(name: string): string | null {
    try {
      return this.here.get(name) ?? this.storage().getItem(name);
    } catch {
      return null;
    }
  }

  set(name: string, value: string): void {
    this.here.set(name, value);
    try {
      this.storage().setItem(name, value);
    } catch {
      // It is kept here.
    }
  }
}

/** For the next visit. */
export const forGood = new Kept(() => localStorage);

/** For this visit. */
export const forNow = new Kept(() => sessionStorage);
