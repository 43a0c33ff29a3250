/** The character: styles, strengths and seed. What is chosen stays for the next visit. */

import { forGood } from "./kept";
import { element } from "./page";
import type { Wishes } from "./server";

const KEPT = "artalk.wishes";

/** Parts of a face whose strength is offered, of those that the server knows. */
const GAINS = ["lips", "brows", "head", "blinks", "gaze"];

const LARGEST_SEED = 2 ** 32 - 1;

export class Panel {
  readonly wishes: Wishes;
  private waiting = 0;

  /** `changed` is called a moment after the last change. */
  constructor(private readonly changed: () => void) {
    this.wishes = remembered();
    const seed = element<HTMLInputElement>("seed");
    seed.value = String(this.wishes.seed);
    seed.addEventListener("input", () => {
      const value = Number(seed.value);
      if (seed.value !== "" && Number.isInteger(value) && value >= 0 && value <= LARGEST_SEED) this.set({ seed: value });
    });
    seed.addEventListener("change", () => (seed.value = String(this.wishes.seed)));
    element("dice").addEventListener("click", () => {
      seed.value = String(Math.floor(Math.random() * 10000));
      this.set({ seed: Number(seed.value) });
    });
    element("panel-button").addEventListener("click", () => this.toggle());
  }

  get open(): boolean {
    return !element("panel").hidden;
  }

  toggle(): void {
    element("panel").hidden = this.open;
    element("panel-button").setAttribute("aria-expanded", String(this.open));
  }

  /** Offer what the server has; forget what it does not know. */
  offer(styles: readonly string[], gains: readonly string[]): void {
    const offered = GAINS.filter((part) => gains.includes(part));
    this.wishes.style = kept(this.wishes.style, styles);
    this.wishes.gains = kept(this.wishes.gains, offered);
    element("styles").hidden = styles.length === 0;
    element("style-sliders").replaceChildren(
      ...styles.map((name) => slider(name, 1, this.wishes.style[name] ?? 0, 0, (share) => this.share("style", name, share, 0))),
    );
    element("gain-sliders").replaceChildren(
      ...offered.map((part) => slider(part, 2, this.wishes.gains[part] ?? 1, 1, (gain) => this.share("gains", part, gain, 1))),
    );
  }

  /** One slider moved; a value that means nothing special is left out. */
  private share(kind: "style" | "gains", name: string, value: number, usual: number): void {
    const { [name]: _, ...others } = this.wishes[kind];
    this.set({ [kind]: value === usual ? others : { ...others, [name]: value } });
  }

  private set(part: Partial<Wishes>): void {
    Object.assign(this.wishes, part);
    forGood.set(KEPT, JSON.stringify(this.wishes));
    clearTimeout(this.waiting);
    this.waiting = window.setTimeout(this.changed, 120);
  }
}

function remembered(): Wishes {
  try {
    return { seed: 0, style: {}, gains: {}, ...(JSON.parse(forGood.get(KEPT) ?? "{}") as Partial<Wishes>) };
  } catch {
    return { seed: 0, style: {}, gains: {} };
  }
}

function kept(shares: Record<string, number>, known: readonly string[]): Record<string, number> {
  return Object.fromEntries(Object.entries(shares).filter(([name]) => known.includes(name)));
}

function slider(name: string, most: number, value: number, usual: number, moved: (value: number) => void): HTMLElement {
  const label = document.createElement("label");
  const text = Object.assign(document.createElement("span"), { textContent: name.replaceAll("_", " ") });
  const input = Object.assign(document.createElement("input"), { type: "range", min: "0", max: String(most), step: "0.05" });
  const shown = document.createElement("output");
  const show = (): void => void (shown.textContent = `${Math.round(Number(input.value) * 100)} %`);
  const move = (): void => {
    show();
    moved(Number(input.value));
  };
  input.value = String(value);
  input.title = `Double-click: back to ${usual * 100} %`;
  input.addEventListener("input", move);
  input.addEventListener("dblclick", () => {
    input.value = String(usual);
    move();
  });
  show();
  label.append(text, input, shown);
  return label;
}
