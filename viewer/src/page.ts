/** Small things of the page itself. */

import { forGood } from "./kept";

/** The element of that id; the page is ours, so it is there. */
export function element<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found as T;
}

let timer = 0;

/** What is shown as it goes on, and not read aloud each time. */
const PROGRESS = /: \d+ %$/;

/** A sentence that goes away by itself; beside it a button, called `word`, that does `again`, where that may help. */
export function say(sentence: string, seconds = 6, again?: () => void, word = "try again"): void {
  const toast = element("toast");
  toast.replaceChildren(sentence);
  if (again) toast.append(" ", retry(again, word));
  toast.hidden = false;
  if (!PROGRESS.test(sentence)) element("said").textContent = sentence;
  clearTimeout(timer);
  timer = window.setTimeout(() => hush(), 1000 * seconds);
}

/** Take back what was said last, or only `sentence` where that is what was said last. */
export function hush(sentence?: string): void {
  const toast = element("toast");
  if (sentence === undefined || toast.textContent === sentence) toast.hidden = true;
}

function retry(again: () => void, word: string): HTMLButtonElement {
  const button = Object.assign(document.createElement("button"), { textContent: word });
  button.addEventListener("click", () => {
    hush();
    again();
  });
  return button;
}

/** Give `next` the focus where what had it is no longer seen: else the keyboard begins at the top of the page again. */
export function keepFocus(next: HTMLElement): void {
  const had = document.activeElement;
  if (had === null || had === document.body || !(had as HTMLElement).checkVisibility()) next.focus();
}

/** What the sound is for, to telephones that are told to be silent: they let a player sound, and a page not. */
export function soundIs(kind: "playback" | "auto"): void {
  const { audioSession } = navigator as Navigator & { audioSession?: { type: string } };
  if (audioSession) audioSession.type = kind;
}

/** Do it, and say what goes wrong. */
export function attempt(action: () => void | Promise<void>): void {
  void (async () => action())().catch((error: Error) => say(error.message));
}

export function download(file: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 40_000); // a telephone asks first
}

/** Light or dark: what the user chose, or else what the system says. */
export function theme(): void {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const show = (): void => {
    document.documentElement.dataset.theme = forGood.get("artalk.theme") ?? (system.matches ? "dark" : "light");
  };
  system.addEventListener("change", show);
  element("theme").addEventListener("click", () => {
    forGood.set("artalk.theme", document.documentElement.dataset.theme === "dark" ? "light" : "dark");
    show();
  });
  show();
}

/** Ask for the server's token until something is given; `why` is the sentence above it. */
export function askForToken(why: string): Promise<string> {
  const dialog = element<HTMLDialogElement>("token-dialog");
  const input = element<HTMLInputElement>("token");
  element("token-why").textContent = why;
  return new Promise((given) => {
    // Escape closes a dialog, too: without a token there is nothing behind it.
    dialog.onclose = () => (dialog.returnValue === "given" && input.value ? given(input.value) : dialog.showModal());
    dialog.returnValue = "";
    dialog.showModal();
    input.select();
  });
}

/** 83.25 as 1:23.3. */
export function clock(seconds: number): string {
  const tenths = Math.round(seconds * 10);
  return `${Math.floor(tenths / 600)}:${String(Math.floor((tenths % 600) / 10)).padStart(2, "0")}.${tenths % 10}`;
}
