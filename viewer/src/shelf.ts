/** The recordings at hand: a menu that opens them or throws them away. */

import { clock, element, keepFocus, say } from "./page";
import { Take } from "./take";

/** Seconds for which a take that was thrown away can be had back. */
const REGRET = 8;

/** Takes that were recorded, which stay until the page is left; `open` shows one. */
export class Shelf {
  private takes: Take[] = [];
  private made = 0;

  constructor(private readonly open: (take: Take) => void) {}

  get count(): number {
    return this.takes.length;
  }

  get unsaved(): boolean {
    return this.takes.some((take) => !take.saved);
  }

  add(samples: Int16Array, rate: number): Take {
    this.made += 1;
    const take = new Take(`take ${this.made}`, samples, rate);
    this.show([...this.takes, take]);
    return take;
  }

  private show(takes: Take[]): void {
    this.takes = takes;
    element("takes").hidden = !takes.length;
    element("recorded").replaceChildren(...takes.flatMap((take) => [this.opens(take), this.throwsAway(take)]));
  }

  private opens(take: Take): HTMLButtonElement {
    const button = document.createElement("button");
    button.append(`${take.name} `, Object.assign(document.createElement("span"), { textContent: clock(take.seconds) }));
    button.addEventListener("click", () => this.open(take));
    return button;
  }

  private throwsAway(take: Take): HTMLButtonElement {
    const title = `Throw ${take.name} away`;
    const button = Object.assign(document.createElement("button"), { textContent: "×", title, ariaLabel: title });
    button.addEventListener("click", () => {
      const before = this.takes;
      this.show(before.filter((other) => other !== take));
      keepFocus(element(this.count ? "takes" : "microphone").querySelector("summary") ?? element("microphone"));
      say(`${take.name} is thrown away.`, REGRET, () => this.takeBack(take, before.indexOf(take)), "undo");
    });
    return button;
  }

  private takeBack(take: Take, place: number): void {
    this.show([...this.takes.slice(0, place), take, ...this.takes.slice(place)]);
  }
}
