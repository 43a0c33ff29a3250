/** The studio: what the parts do together. */

import type { Actor } from "./actor";
import { Curves, loudest } from "./curves";
import { loadFacts } from "./facts";
import type { Facts, Pose } from "./facts";
import { loadHead } from "./head";
import { Live } from "./live";
import { Microphone } from "./microphone";
import { askForToken, clock, download, element, say, theme } from "./page";
import { Panel } from "./panel";
import { animate, info, token, WantsToken } from "./server";
import type { Info } from "./server";
import { Stage } from "./stage";
import { Player, readTake, Take } from "./take";

/** What a take is saved as, most wanted first, of what the server makes. */
const FORMATS: [string, string][] = [
  ["csv", "Live Link Face: MetaHuman, Unreal, Maya"],
  ["glb", "the head with the performance: Blender, Unity, the web"],
  ["vrma", "animation for VRM avatars"],
  ["mp4", "film with sound"],
  ["npz", "numbers for Python"],
];

const HEAD_FILE = /\.(glb|vrm)$/i;

/** Seconds after which a hidden page gives its place at the server back. */
const HIDDEN_SECONDS = 60;

class Studio {
  private readonly stage: Stage;
  private readonly curves: Curves;
  private readonly panel: Panel;
  private readonly live: Live;
  private readonly microphone: Microphone;
  private readonly context: AudioContext;
  private player: Player | null = null;
  private actor: Actor | null = null;
  private recorded: Int16Array[] | null = null;
  private takes = 0;
  private loudness = 0;
  private hiding = 0;
  private shown: Pose | null = null;
  private firstFace = 0;

  constructor(
    private readonly facts: Facts,
    private offers: Info,
  ) {
    this.context = new AudioContext({ latencyHint: "interactive" });
    this.curves = new Curves(element<HTMLCanvasElement>("curves"), facts);
    this.panel = new Panel(() => this.wish());
    this.offer(offers);
    this.microphone = new Microphone(this.context, (samples) => this.listen(samples));
    this.live = new Live(
      this.panel.wishes,
      (code, message) => this.refused(code, message),
    );
    this.stage = new Stage(element<HTMLCanvasElement>("stage"), facts, (now) => this.frame(now));
    this.wireButtons();
    this.wireKeys();
    this.wireDrops();
    this.wireMenus();
    setInterval(() => this.tell(), 250);
  }

  async begin(): Promise<void> {
    this.live.join();
    await this.ourHead();
  }

  /** What tests and the curious may ask: the state, in plain numbers. */
  state(): Record<string, unknown> {
    const at = (name: string): number => this.shown?.[this.facts.channels.indexOf(name)] ?? 0;
    return {
      mode: document.body.dataset.mode,
      connection: this.live.vitals.state,
      ...this.live.vitals,
      rate: this.stage.rate,
      head: this.actor?.name ?? "",
      firstFace: this.firstFace,
      jaw: at("jawOpen"),
      apart: at("jawOpen") - at("mouthClose"),
      loudness: this.loudness,
      microphone: this.microphone.open,
      recording: this.recorded !== null,
      playing: this.player?.playing ?? false,
      position: this.player?.position ?? 0,
      seconds: this.player?.take.seconds ?? 0,
      whole: this.player?.take.whole ?? false,
      pose: this.shown ? Array.from(this.shown) : [],
    };
  }

  // ── each picture ──

  /** Whether the head moved. */
  private frame(now: number): boolean {
    const pose = this.player ? this.player.take.at(this.player.position) : this.live.pose();
    const moved = pose !== null && !pose.every((x, k) => x === this.shown?.[k]);
    if (pose) {
      this.shown = pose;
      this.actor?.show(pose);
      if (this.actor && !this.firstFace) this.firstFace = performance.now();
      if (!this.player) this.curves.remember(now, pose, this.microphone.open ? this.loudness : 0);
    }
    this.curves.draw(now);
    if (this.player) this.tellPlace(this.player);
    return moved;
  }

  private tellPlace({ position, playing }: Player): void {
    const text = clock(position);
    if (element("now").textContent !== text) element("now").textContent = text;
    element("play").toggleAttribute("data-playing", playing);
    element("curves").setAttribute("aria-valuenow", position.toFixed(1));
    element("curves").setAttribute("aria-valuetext", text);
  }

  /** Latency and health, quietly. */
  private tell(): void {
    if (this.recorded) element("record").querySelector("span")!.textContent = `stop ${clock(this.recordedSeconds())}`;
    const { state, latency, trip, health } = this.live.vitals;
    const milliseconds = (value: number | null): string => (value === null ? "–" : `${Math.round(value)} ms`);
    const box = element("health");
    box.dataset.state = this.player ? "here" : state;
    element("health-text").textContent = this.player
      ? this.player.take.whole ? "take" : "performing"
      : { joining: "joining", away: "no server", here: latency === null ? "live" : milliseconds(latency) }[state];
    const facts = {
      "voice to face": milliseconds(latency),
      "to the server and back": milliseconds(trip),
      "server behind by": milliseconds(health?.late ?? null),
      "frames left out": String(health?.framesDropped ?? 0),
      "pictures a second": String(this.stage.rate),
      model: this.live.welcome?.model ?? "–",
    };
    element("vitals").replaceChildren(
      ...Object.entries(facts).flatMap(([name, value]) => [
        Object.assign(document.createElement("dt"), { textContent: name }),
        Object.assign(document.createElement("dd"), { textContent: value }),
      ]),
    );
  }

  // ── what the server has ──

  private offer(offers: Info): void {
    this.offers = offers;
    this.panel.offer(offers.styles[offers.models[0]!] ?? [], offers.gains);
  }

  /** A server that came back may run another model, which has other styles: what it does not know is forgotten. */
  private refused(code: string, message: string): void {
    say(message);
    if (code !== "bad_hello") return;
    void info().then((offers) => {
      this.offer(offers);
      this.live.wish(this.panel.wishes);
    }, () => undefined);
  }

  // ── live ──

  private async toggleMicrophone(): Promise<void> {
    if (this.microphone.open) return this.closeMicrophone();
    if (this.player) this.toLive();
    try {
      await this.context.resume();
      await this.microphone.start();
    } catch (error) {
      return say((error as Error).message);
    }
    this.live.listenAt(this.context.sampleRate);
    this.showMicrophone();
  }

  private closeMicrophone(): void {
    this.recorded = null;
    this.microphone.stop();
    this.live.hush();
    this.loudness = 0;
    this.showMicrophone();
  }

  private showMicrophone(): void {
    element("microphone").setAttribute("aria-pressed", String(this.microphone.open));
    element("microphone").querySelector("span")!.textContent = this.microphone.open ? "listening" : "speak";
    element("record").setAttribute("aria-pressed", String(this.recorded !== null));
    element("record").querySelector("span")!.textContent = this.recorded ? "stop" : "record";
    element("hint").hidden = this.microphone.open || this.player !== null;
  }

  private listen(samples: Int16Array): void {
    this.live.sound(samples);
    this.loudness = Math.max(loudest(samples), 0.9 * this.loudness);
    this.recorded?.push(samples);
    if (this.recordedSeconds() > this.longest) void this.record();
  }

  private recordedSeconds(): number {
    const blocks = this.recorded ?? [];
    return blocks.reduce((sum, block) => sum + block.length, 0) / this.context.sampleRate;
  }

  /** Seconds of sound that the server takes. */
  private get longest(): number {
    return this.offers.limits.upload_seconds ?? Infinity;
  }

  /** Begin a take, or end it and show it. */
  private async record(): Promise<void> {
    if (!this.recorded) {
      if (!this.microphone.open) await this.toggleMicrophone();
      if (this.microphone.open) this.recorded = [];
      return this.showMicrophone();
    }
    const samples = joined(this.recorded);
    this.closeMicrophone();
    this.takes += 1;
    if (samples.length) this.toTake(new Take(`take ${this.takes}`, samples, this.context.sampleRate));
  }

  // ── takes ──

  private async openSound(file: Blob, name: string): Promise<void> {
    try {
      const take = await readTake(file, name, this.context, this.longest);
      if (take.samples.length) this.toTake(take);
      else say(`${name} holds no sound.`);
    } catch (error) {
      return say((error as Error).message);
    }
    await this.context.resume();
    this.player?.play(0);
  }

  private toTake(take: Take): void {
    if (this.microphone.open) this.closeMicrophone();
    this.dropTake();
    this.live.leave();
    this.player = new Player(this.context, take);
    this.player.loop = element("loop").getAttribute("aria-pressed") === "true";
    take.perform(this.panel.wishes, (message) => say(message));
    this.curves.show(this.player);
    document.body.dataset.mode = "take";
    element("take-name").textContent = take.name;
    element("whole").textContent = ` / ${clock(take.seconds)}`;
    element("curves").setAttribute("aria-valuemax", take.seconds.toFixed(1));
    this.showMicrophone();
  }

  private toLive(): void {
    if (!this.player) return;
    this.dropTake();
    this.curves.show(null);
    document.body.dataset.mode = "live";
    element<HTMLDetailsElement>("save").open = false;
    this.live.join();
    this.showMicrophone();
  }

  private dropTake(): void {
    this.player?.pause();
    this.player?.take.close();
    this.player = null;
  }

  private async play(): Promise<void> {
    if (!this.player) return;
    if (this.player.playing) return this.player.pause();
    await this.context.resume();
    this.player.play();
  }

  private loop(): void {
    if (!this.player) return;
    this.player.loop = !this.player.loop;
    element("loop").setAttribute("aria-pressed", String(this.player.loop));
  }

  private step(seconds: number): void {
    if (this.player) this.player.seek(this.player.position + seconds);
  }

  private async save(format: string): Promise<void> {
    const take = this.player?.take;
    if (!take) return;
    element<HTMLDetailsElement>("save").open = false;
    const name = `${take.name.replace(/\.\w+$/, "")}.${format}`;
    say(`Making ${name} …`, 600);
    try {
      const file = await animate(take.wav(), format, this.panel.wishes, (share) => say(`Making ${name}: ${Math.round(100 * share)} %`, 600));
      download(file, name);
      say(`${name} is saved.`, 3);
    } catch (error) {
      say(`${name} could not be made: ${(error as Error).message}`);
    }
  }

  private wish(): void {
    this.live.wish(this.panel.wishes);
    this.player?.take.perform(this.panel.wishes, (message) => say(message));
  }

  // ── heads ──

  private async ourHead(): Promise<void> {
    this.perform(await loadHead(this.facts));
  }

  private async openHead(file: File): Promise<void> {
    const { loadAvatar } = await import("./avatar");
    try {
      this.perform(await loadAvatar(file, this.facts));
    } catch (error) {
      say((error as Error).message);
    }
  }

  private perform(actor: Actor): void {
    this.actor = actor;
    this.stage.show(actor);
    element("head-name").textContent = actor.name;
    element("our-head").hidden = actor.name === "the built-in head";
    if (actor.lacks) say(actor.lacks, 9);
  }

  // ── hands ──

  private wireButtons(): void {
    const press = (id: string, action: () => void | Promise<void>): void =>
      element(id).addEventListener("click", () => void action());
    press("microphone", () => this.toggleMicrophone());
    press("record", () => this.record());
    press("play", () => this.play());
    press("loop", () => this.loop());
    press("back", () => this.toLive());
    press("sample", async () => this.openSound(await (await fetch("hello.flac")).blob(), "hello.flac"));
    press("open", () => element("sound-file").click());
    press("own-head", () => element("head-file").click());
    press("our-head", () => this.ourHead());
    for (const id of ["sound-file", "head-file"]) {
      const input = element<HTMLInputElement>(id);
      input.addEventListener("change", () => {
        this.open([...(input.files ?? [])]);
        input.value = "";
      });
    }
    const made = FORMATS.filter(([format]) => this.offers.formats.includes(format));
    element("formats").replaceChildren(
      ...made.map(([format, what]) => {
        const button = document.createElement("button");
        button.append(`.${format} `, Object.assign(document.createElement("span"), { textContent: what }));
        button.addEventListener("click", () => void this.save(format));
        return button;
      }),
    );
  }

  private wireKeys(): void {
    const click = (id: string) => (): void => element(id).click();
    const keys: Record<string, () => void> = {
      m: click("microphone"),
      r: click("record"),
      o: click("open"),
      e: click("sample"),
      l: click("loop"),
      n: click("dice"),
      s: click("panel-button"),
      t: click("theme"),
      d: () => this.player && element<HTMLDetailsElement>("save").toggleAttribute("open"),
      f: () => this.stage.portrait(),
      "?": () => element<HTMLDialogElement>("help").showModal(),
      " ": () => (this.player ? void this.play() : void this.toggleMicrophone()),
      arrowleft: () => this.step(-1 / (this.player?.take.fps ?? 25)),
      arrowright: () => this.step(1 / (this.player?.take.fps ?? 25)),
      "shift arrowleft": () => this.step(-1),
      "shift arrowright": () => this.step(1),
      home: () => this.step(-Infinity),
      end: () => this.step(Infinity),
      escape: () => (this.panel.open ? this.panel.toggle() : this.toLive()),
    };
    document.addEventListener("keydown", (event) => {
      const key = event.key.toLowerCase();
      const action = keys[event.shiftKey && key.startsWith("arrow") ? `shift ${key}` : key];
      if (!action || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
      const target = event.target as HTMLElement;
      if (target instanceof HTMLInputElement && key !== "escape") return;
      if (key === " " && target.closest("button, summary")) return;
      event.preventDefault();
      action();
    });
  }

  /** Small windows close when something else is pressed. */
  private wireMenus(): void {
    document.addEventListener("pointerdown", (event) => {
      for (const menu of document.querySelectorAll<HTMLDetailsElement>("details[open]"))
        if (!menu.contains(event.target as Node)) menu.open = false;
    });
  }

  private wireDrops(): void {
    const veil = element("drop");
    window.addEventListener("dragover", (event) => {
      event.preventDefault();
      veil.hidden = false;
    });
    window.addEventListener("dragleave", (event) => (veil.hidden = event.relatedTarget === null || veil.hidden));
    window.addEventListener("drop", (event) => {
      event.preventDefault();
      veil.hidden = true;
      this.open([...(event.dataTransfer?.files ?? [])]);
    });
    document.addEventListener("visibilitychange", () => {
      clearTimeout(this.hiding);
      if (document.hidden) this.hiding = window.setTimeout(() => !this.microphone.open && this.live.leave(), 1000 * HIDDEN_SECONDS);
      else if (!this.player && this.live.vitals.state === "away") this.live.join();
    });
  }

  private open(files: File[]): void {
    const head = files.find((file) => HEAD_FILE.test(file.name));
    const sound = files.find((file) => !HEAD_FILE.test(file.name));
    if (head) void this.openHead(head);
    if (sound) void this.openSound(sound, sound.name);
  }
}

function joined(blocks: Int16Array[]): Int16Array {
  const all = new Int16Array(blocks.reduce((sum, block) => sum + block.length, 0));
  let at = 0;
  for (const block of blocks) {
    all.set(block, at);
    at += block.length;
  }
  return all;
}

/** What the server offers; a token is asked for where it wants one. */
async function greeted(): Promise<Info> {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) {
    token.set(given);
    history.replaceState(null, "", location.pathname + location.search);
  }
  for (;;) {
    try {
      return await info();
    } catch (error) {
      if (!(error instanceof WantsToken)) throw error;
      token.set(await askForToken(token.get() ? "This token does not fit." : "This server wants a token."));
    }
  }
}

declare global {
  interface Window {
    studio?: Studio;
  }
}

theme();
try {
  const [facts, offers] = await Promise.all([loadFacts(), greeted()]);
  const studio = new Studio(facts, offers);
  window.studio = studio;
  await studio.begin();
} catch (error) {
  say(`The studio cannot begin: ${(error as Error).message}`, 3600);
}
