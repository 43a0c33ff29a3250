/** The studio: what the parts do together. */

import type { Actor } from "./actor";
import { stayAwake } from "./awake";
import { Curves, loudest } from "./curves";
import { loadFacts } from "./facts";
import type { Facts, Pose } from "./facts";
import { loadHead } from "./head";
import { Live } from "./live";
import { Microphone } from "./microphone";
import { askForToken, attempt, clock, download, element, hush, keepFocus, say, theme } from "./page";
import { Panel } from "./panel";
import { Recording } from "./recording";
import { animate, file, info, OUTGROWN, token, WantsToken } from "./server";
import type { Info } from "./server";
import { Shelf } from "./shelf";
import { Stage } from "./stage";
import { atMost, Player, readTake, WAV_HEADER } from "./take";
import type { Take } from "./take";
import { Turns } from "./turns";

/** What a take is saved as, most wanted first, of what the server makes. */
const FORMATS: [string, string][] = [
  ["csv", "Live Link Face: MetaHuman, Unreal, Maya"],
  ["glb", "the built-in head with the performance: Blender, Unity, the web"],
  ["vrma", "animation for VRM avatars"],
  ["mp4", "film of the built-in head, with sound"],
  ["npz", "numbers for Python"],
];

const SAMPLE = "hello.flac";

const OLDER = "This page is older than the server: reload it to go on.";

const HEAD_FILE = /\.(glb|vrm)$/i;

/** Heads and motion that this page does not read, and that are no sound. */
const OTHER_MODEL = /\.(gltf|fbx|obj|blend|dae|usd[acz]?|vrma|zip)$/i;

/** Seconds after which a hidden page gives its place at the server back. */
const HIDDEN_SECONDS = 60;

/** Milliseconds that a take may take to sound before the page says how. */
const HINT = 600;

/** Milliseconds between two looks at how things are, and how many without a sound until the sound card is let go. */
const LOOK = 250;
const IDLE_LOOKS = 8;

/** Keys that do something when they are held. */
const REPEATED = /^arrow/;

/** Keys that a slider wants for itself. */
const SLIDING = /^(arrow.*|home|end|page.*)$/;

class Studio {
  private readonly stage: Stage;
  private readonly curves: Curves;
  private readonly panel: Panel;
  private readonly live: Live;
  private readonly microphone: Microphone;
  private readonly context: AudioContext;
  private player: Player | null = null;
  private actor: Actor | null = null;
  /** Of several sounds that are opened, and of several heads, the last one comes. */
  private readonly sounds = new Turns();
  private readonly heads = new Turns();
  private recorded: Recording | null = null;
  /** What was recorded in this visit. */
  private readonly shelf = new Shelf((take) => this.toTake(take));
  private loudness = 0;
  private hiding = 0;
  private idle = 0;
  /** A take waits for its first playing, as a browser lets nothing sound on a page that was not touched. */
  private unheard = false;
  private shown: Pose | null = null;
  private firstFace = 0;
  /** The model that performed last. */
  private met = "";

  constructor(
    private readonly facts: Facts,
    private offers: Info,
  ) {
    this.context = new AudioContext({ latencyHint: "interactive" });
    this.curves = new Curves(element<HTMLCanvasElement>("curves"), facts);
    this.panel = new Panel(() => this.wish());
    this.offer(offers);
    this.microphone = new Microphone(this.context, (samples) => this.listen(samples), () => this.unplugged());
    this.live = new Live(
      this.panel.wishes,
      this.context.sampleRate,
      (code, message) => void this.refused(code, message),
    );
    this.stage = new Stage(element<HTMLCanvasElement>("stage"), facts, (now) => this.frame(now));
    this.wireButtons();
    this.wireKeys();
    this.wireDrops();
    this.wireMenus();
    this.wireVisits();
    setInterval(() => this.look(), LOOK);
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
      takes: this.shelf.count,
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
    element("play").toggleAttribute("data-playing", playing);
    element("play").setAttribute("aria-label", playing ? "Pause" : "Play");
    if (element("curves").getAttribute("aria-valuetext") === text) return;
    element("now").textContent = text;
    element("curves").setAttribute("aria-valuenow", position.toFixed(1));
    element("curves").setAttribute("aria-valuetext", text);
  }

  private look(): void {
    this.tell();
    this.rest();
    this.meet();
  }

  /** A server that came back may run another model: then its styles and limits are others. */
  private meet(): void {
    const model = this.live.welcome?.model;
    if (!model || model === this.met) return;
    if (this.met) void this.renew();
    this.met = model;
  }

  /** Let the sound card go while nothing plays or listens. */
  private rest(): void {
    this.idle = this.microphone.wanted || this.player?.playing ? 0 : this.idle + 1;
    if (this.idle > IDLE_LOOKS && this.context.state === "running") void this.context.suspend();
  }

  /** A telephone call, say, takes the sound card from what listens or plays: afterwards it is wanted back. */
  private stayAwake(): void {
    if (this.context.state === "running" || !(this.microphone.wanted || this.player?.playing)) return;
    this.wake().catch(() => undefined); // while the call lasts
  }

  /** Have the sound card back; on a page that was not touched yet that may take until it is. */
  private wake(): Promise<void> {
    this.idle = 0;
    return this.context.resume();
  }

  /** Latency and health, quietly. */
  private tell(): void {
    if (this.recorded) element("record").querySelector("span")!.textContent = `stop ${clock(this.recordedSeconds)}`;
    const { state, latency, trip, health } = this.live.vitals;
    const milliseconds = (value: number | null): string => (value === null ? "–" : `${Math.round(value)} ms`);
    const box = element("health");
    const { whole, failed } = this.player?.take ?? { whole: false, failed: false };
    box.dataset.state = !this.player ? state : failed ? "away" : "here";
    element("health-text").textContent = this.player
      ? failed ? "failed" : whole ? "take" : "performing"
      : { joining: "joining", away: "no server", refused: "refused", here: latency === null ? "live" : milliseconds(latency) }[state];
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
  private async refused(code: string, message: string): Promise<void> {
    if (code === "wrong_token") return say(message, 3600, () => location.reload()); // which asks for it
    if (OUTGROWN.includes(code)) return say(OLDER, 3600, () => location.reload(), "reload");
    if (this.player?.take.failed) say(message, 3600, () => this.performTake());
    else say(message);
    if (code === "bad_hello" || code === "bad_input") await this.renew();
  }

  /** Offer what the server has now. */
  private async renew(): Promise<void> {
    const before = JSON.stringify(this.panel.wishes);
    try {
      this.offer(await info());
    } catch {
      return; // the server went away, which is told elsewhere
    }
    if (JSON.stringify(this.panel.wishes) !== before) this.wish();
  }

  // ── live ──

  private async toggleMicrophone(): Promise<void> {
    if (this.recorded) return this.record();
    if (this.microphone.open) this.closeMicrophone();
    else await this.openMicrophone();
  }

  /** Whether it is open then. While the browser asks the user, a second call waits for the same answer. */
  private async openMicrophone(): Promise<boolean> {
    this.toLive();
    void this.wake();
    if (!(await this.microphone.start())) return false;
    this.showMicrophone();
    return true;
  }

  /** What was being recorded is kept as a take. */
  private closeMicrophone(): Take | null {
    const take = this.keepRecording();
    this.microphone.stop();
    this.live.hush();
    this.loudness = 0;
    this.showMicrophone();
    return take;
  }

  private unplugged(): void {
    const take = this.closeMicrophone();
    if (take) this.toTake(take);
    say("The microphone went away.");
  }

  private showMicrophone(): void {
    void stayAwake(this.microphone.open);
    element("microphone").setAttribute("aria-pressed", String(this.microphone.open));
    element("microphone").querySelector("span")!.textContent = this.microphone.open ? "listening" : "speak";
    element("record").setAttribute("aria-pressed", String(this.recorded !== null));
    element("record").querySelector("span")!.textContent = this.recorded ? "stop" : "record";
    this.showHint();
  }

  private showHint(): void {
    element("hint").textContent = this.player ? "Press play to hear it." : "Speak, or drop a sound.";
    element("hint").hidden = this.player ? !this.unheard : this.microphone.open;
  }

  private listen(samples: Int16Array): void {
    this.live.sound(samples);
    this.loudness = Math.max(loudest(samples), 0.9 * this.loudness);
    this.recorded?.add(samples);
    if (this.recorded && this.recordedSeconds >= this.longest) attempt(() => this.endRecording());
  }

  /** It is as long as the server takes. */
  private async endRecording(): Promise<void> {
    await this.record();
    say(`The recording ended: ${atMost(this.longest)}.`);
  }

  private get recordedSeconds(): number {
    return (this.recorded?.length ?? 0) / this.context.sampleRate;
  }

  /** Seconds of sound that the server takes, as a WAV file of this page's rate. */
  private get longest(): number {
    const { upload_seconds: seconds = Infinity, upload_bytes: bytes = Infinity } = this.offers.limits;
    return Math.min(seconds, (bytes - WAV_HEADER) / 2 / this.context.sampleRate);
  }

  /** Begin a take, or end it and show it. */
  private async record(): Promise<void> {
    if (this.recorded) {
      const take = this.closeMicrophone();
      if (take) this.toTake(take);
    } else if (await this.openMicrophone()) {
      this.recorded ??= new Recording();
      this.showMicrophone();
    }
  }

  /** The recording so far as a take, which stays at hand until the page is left. */
  private keepRecording(): Take | null {
    const samples = this.recorded?.joined().subarray(0, Math.floor(this.longest * this.context.sampleRate));
    this.recorded = null;
    if (!samples?.length) return null;
    return this.shelf.add(samples, this.context.sampleRate);
  }

  // ── takes ──

  private async openSound(file: Blob | Promise<Blob>, name: string): Promise<void> {
    const read = async (): Promise<Take> => readTake(await file, name, this.context, this.longest);
    const take = await this.sounds.last(`Reading ${name} …`, read);
    if (!take) return;
    if (!take.samples.length) return say(`${name} holds no sound.`);
    this.toTake(take);
    this.unheard = true;
    setTimeout(() => this.showHint(), HINT);
    await this.wake();
    if (this.unheard && this.player?.take === take) this.startPlaying(this.player);
  }

  private toTake(take: Take): void {
    this.sounds.pass();
    const kept = this.microphone.wanted ? this.closeMicrophone() : null;
    if (kept && kept !== take) say(`${kept.name} is kept: see takes.`);
    this.dropTake();
    this.closeMenus();
    this.live.leave();
    this.player = new Player(this.context, take);
    this.player.loop = element("loop").getAttribute("aria-pressed") === "true";
    this.performTake();
    this.curves.show(this.player);
    document.body.dataset.mode = "take";
    element("take-name").textContent = take.name;
    element("whole").textContent = ` / ${clock(take.seconds)}`;
    element("curves").setAttribute("aria-valuemax", take.seconds.toFixed(1));
    this.showMicrophone();
    keepFocus(element("play"));
  }

  private toLive(): void {
    this.sounds.pass();
    if (!this.player) return;
    this.dropTake();
    this.curves.show(null);
    document.body.dataset.mode = "live";
    this.closeMenus();
    this.live.join();
    this.showMicrophone();
    keepFocus(element("microphone"));
  }

  private dropTake(): void {
    if (this.player?.take.failed) hush();
    this.player?.pause();
    this.player?.take.close();
    this.player = null;
    this.unheard = false;
  }

  private performTake(): void {
    const take = this.player?.take;
    if (take?.failed) hush();
    take?.perform(this.panel.wishes, (code, message) => void this.refused(code, message));
  }

  private async play(): Promise<void> {
    const player = this.player;
    if (!player) return;
    if (player.playing) return player.pause();
    if (player.take.failed) this.performTake();
    await this.wake();
    if (player === this.player) this.startPlaying(player);
  }

  private startPlaying(player: Player): void {
    this.unheard = false;
    this.showHint();
    player.play();
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
    this.closeMenus();
    const name = `${take.name.replace(/\.\w+$/, "")}.${format}`;
    say(`Making ${name} …`, 600);
    try {
      const file = await animate(take.wav(), format, this.panel.wishes, (share) => say(`Making ${name}: ${Math.round(100 * share)} %`, 600));
      download(file, name);
      take.saved = true;
      say(`${name} is saved.`, 3);
    } catch (error) {
      say(`${name} could not be made: ${(error as Error).message}`);
    }
  }

  private wish(): void {
    this.live.wish(this.panel.wishes);
    this.performTake();
  }

  // ── heads ──

  private async ourHead(doing = ""): Promise<void> {
    const actor = await this.heads.last(doing, () => loadHead(this.facts));
    if (actor) this.perform(actor);
  }

  private async openHead(file: File): Promise<void> {
    try {
      const actor = await this.heads.last(`Reading ${file.name} …`, () => this.readHead(file));
      if (actor) this.perform(actor);
    } catch (error) {
      if (!this.actor) attempt(() => this.ourHead()); // whose turn it took
      throw error;
    }
  }

  private async readHead(file: File): Promise<Actor> {
    const reader = await import("./avatar").catch(() => null);
    // A browser may remember for good that a part of the page could not be had.
    if (!reader) throw new Error(`${file.name} could not be read: the server did not answer. If it does now, reload the page.`);
    return reader.loadAvatar(file, this.facts);
  }

  private perform(actor: Actor): void {
    this.actor = actor;
    if (this.shown) actor.show(this.shown); // without a server no other pose comes
    this.stage.show(actor);
    element("head-name").textContent = actor.name;
    element("our-head").hidden = actor.name === "the built-in head";
    if (actor.lacks) say(actor.lacks, 9);
  }

  // ── hands ──

  private wireButtons(): void {
    const press = (id: string, action: () => void | Promise<void>): void =>
      element(id).addEventListener("click", () => attempt(action));
    press("microphone", () => this.toggleMicrophone());
    press("record", () => this.record());
    press("play", () => this.play());
    press("loop", () => this.loop());
    press("back", () => this.toLive());
    press("sample", () => {
      void this.wake(); // now, as it is the press that allows it
      return this.openSound(file(SAMPLE), SAMPLE);
    });
    press("open", () => element("sound-file").click());
    press("own-head", () => element("head-file").click());
    press("our-head", () => this.ourHead("Reading the built-in head …"));
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
        button.addEventListener("click", () => attempt(() => this.save(format)));
        return button;
      }),
    );
  }

  private wireKeys(): void {
    const click = (id: string) => (): void => element(id).click();
    const keys: Record<string, () => void | Promise<void>> = {
      m: click("microphone"),
      r: click("record"),
      o: click("open"),
      e: click("sample"),
      l: click("loop"),
      n: click("dice"),
      s: click("panel-button"),
      t: click("theme"),
      d: () => this.openFormats(),
      f: () => this.stage.portrait(),
      "?": () => element<HTMLDialogElement>("help").showModal(),
      " ": () => (this.player ? this.play() : this.toggleMicrophone()),
      arrowleft: () => this.step(-1 / (this.player?.take.fps ?? 25)),
      arrowright: () => this.step(1 / (this.player?.take.fps ?? 25)),
      "shift arrowleft": () => this.step(-1),
      "shift arrowright": () => this.step(1),
      home: () => this.step(-Infinity),
      end: () => this.step(Infinity),
      escape: () => this.stepBack(),
    };
    document.addEventListener("keydown", (event) => {
      const key = named(event);
      const action = keys[event.shiftKey && key.startsWith("arrow") ? `shift ${key}` : key];
      if (!action || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
      if (wantedBy(event.target as HTMLElement, key)) return;
      event.preventDefault();
      if (!event.repeat || REPEATED.test(key)) attempt(action);
    });
  }

  /** Close what is open, the foremost first. */
  private stepBack(): void {
    if (this.closeMenus()) return;
    if (this.panel.open) this.panel.toggle();
    else this.toLive();
  }

  private openFormats(): void {
    if (!this.player) return;
    element("save").toggleAttribute("open");
    element("formats").querySelector("button")?.focus();
  }

  /** Small windows close when something else is pressed. */
  private wireMenus(): void {
    document.addEventListener("pointerdown", (event) => void this.closeMenus(event.target as Node));
  }

  /** Whether any was open; the one round `inside` stays so. */
  private closeMenus(inside: Node | null = null): boolean {
    const open = [...document.querySelectorAll<HTMLDetailsElement>("details[open]")].filter((menu) => !menu.contains(inside));
    for (const menu of open) menu.open = false;
    return open.length > 0;
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
  }

  private wireVisits(): void {
    const unsaved = (): boolean => this.recorded !== null || this.shelf.unsaved;
    // The browser asks whether to leave the page.
    window.addEventListener("beforeunload", (event) => unsaved() && event.preventDefault());
    this.context.addEventListener("statechange", () => this.stayAwake());
    document.addEventListener("visibilitychange", () => {
      clearTimeout(this.hiding);
      if (!document.hidden) this.stayAwake();
      if (document.hidden) this.hiding = window.setTimeout(() => !this.microphone.wanted && this.live.leave(), 1000 * HIDDEN_SECONDS);
      else if (!this.player && this.live.vitals.state === "away") this.live.join();
    });
  }

  private open(files: File[]): void {
    const other = files.find((file) => OTHER_MODEL.test(file.name));
    if (other) return say(`${other.name} is no head that this page reads: export it as .glb or .vrm.`);
    const head = files.find((file) => HEAD_FILE.test(file.name));
    const sound = files.find((file) => !HEAD_FILE.test(file.name));
    if (head) attempt(() => this.openHead(head));
    if (sound) attempt(() => this.openSound(sound, sound.name));
  }
}

/** A key by what it writes, or, on a keyboard without Latin letters, by its place; browsers that fill a field in by
 * themselves send one without a name. */
function named(event: KeyboardEvent): string {
  const key = event.key?.toLowerCase();
  return key?.length === 1 && key > "\u024f" && event.code.startsWith("Key") ? event.code.slice(3).toLowerCase() : key;
}

/** Whether a key belongs to what has the focus: text to its field, arrows to a slider, space to a button. */
function wantedBy(target: HTMLElement, key: string): boolean {
  if (target instanceof HTMLInputElement) return target.type === "range" ? SLIDING.test(key) : key !== "escape";
  return key === " " && target.closest("button, summary") !== null;
}

/** What the server offers; a token is asked for where it wants one. */
async function greeted(): Promise<Info> {
  const given = /^#token=(.+)$/.exec(location.hash)?.[1]; // URLSearchParams would make a "+" a blank
  if (given) {
    token.set(unescaped(given));
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

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

declare global {
  interface Window {
    studio?: Studio;
  }
}

try {
  theme();
  const [facts, offers] = await Promise.all([loadFacts(), greeted()]);
  const studio = new Studio(facts, offers);
  window.studio = studio;
  await studio.begin();
} catch (error) {
  say(`The studio cannot begin: ${(error as Error).message}`, 3600);
}
