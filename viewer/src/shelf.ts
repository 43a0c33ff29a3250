/** The recordings at hand: a menu that opens them or throws them away. */

import { clock, element } from "./page";
import { Take } from "./take";

/**
 * Takes that were recorded, which stay until the page is left; `open` shows one. What is thrown away can be had back
 * until the menu closes.
 */
export class Shelf {
  private takes: Take[] = [];
  private readonly gone = new Set<Take>();
  private made = 0;
  private readonly menu = element<HTMLDetailsElement>("takes");

  constructor(private readonly open: (take: Take) => void) {
    this.menu.addEventListener("toggle", () => this.menu.open || this.clear());
  }

  get count(): number {
    return this.takes.length - this.gone.size;
  }

  get unsaved(): boolean {
    return this.takes.some((take) => !take.saved && !this.gone.has(take));
  }

  add(samples: Int16Array, rate: number): Take {
    this.clear();
    this.made += 1;
    const take = new Take(`take ${this.made}`, samples, rate);
    this.takes.push(take);
    element("recorded").append(...this.row(take));
    this.menu.hidden = false;
    return take;
  }

  private row(take: Take): HTMLElement[] {
    const opens = document.createElement("button");
    opens.append(`${take.name} `, Object.assign(document.createElement("span"), { textContent: clock(take.seconds) }));
    opens.addEventListener("click", () => this.open(take));
    const throws = document.createElement("button");
    const show = (): void => {
      const gone = this.gone.has(take);
      opens.disabled = gone;
      throws.textContent = gone ? "undo" : "×";
      throws.title = throws.ariaLabel = gone ? `Have ${take.name} back` : `Throw ${take.name} away`;
    };
    throws.addEventListener("click", () => {
      if (!this.gone.delete(take)) this.gone.add(take);
      show();
    });
    show();
    return [opens, throws];
  }

  /** What was thrown away is gone for good. */
  private clear(): void {
    if (!this.gone.size) return;
    this.takes = this.takes.filter((take) => !this.gone.has(take));
    this.gone.clear();
    element("recorded").replaceChildren(...this.takes.flatMap((take) => this.row(take)));
    this.menu.hidden = !this.takes.length;
  }
}
