/** The face that lives: a session that is kept open, fed by the microphone or by nothing. */

import type { Pose } from "./facts";
import { Playout, rows } from "./playout";
import type { Change, FromServer, Health, Welcome } from "./protocol";
import { OUTGROWN, Session, unfit } from "./server";
import type { Wishes } from "./server";

const PING_SECONDS = 5;
const LONGEST_WAIT = 8;

/** Pings without a word from the server, which speaks each second, after which the link is dead. */
const MOST_SILENT = 2;

/** Seconds that sound may come late until there was a gap in it; how fast the microphone's clock may fall behind ours. */
const GAP = 0.5;
const DRIFT = 0.05;

/** Seconds of sound that may wait where the link is slower than speech: what is behind them would be late for good. */
const MOST_WAITING = 1;

/** Faults that the same hello would meet again. */
const FINAL = ["bad_hello", "wrong_token", ...OUTGROWN];

export interface Vitals {
  /** `refused`: not again before something else is wished for. */
  state: "joining" | "here" | "away" | "refused";
  /** Milliseconds from a sound at the microphone to its face, once known. */
  latency: number | null;
  /** Milliseconds to the server and back. */
  trip: number | null;
  health: Health | null;
}

const seconds = (): number => performance.now() / 1000;

export class Live {
  readonly vitals: Vitals = { state: "joining", latency: null, trip: null, health: null };
  welcome: Welcome | null = null;
  private session: Session | null = null;
  private playout: Playout | null = null;
  private sent = 0;
  /** Whether sound is left out until all that waits is gone. */
  private clogged = false;
  /** This page's time at which sample 0 was heard. */
  private heardFrom = Infinity;
  private wishes: Wishes;
  /** What the session was told of them; null where that is not sure. */
  private told: Wishes | null = null;
  private placed: { sample: number; time: number } | null = null;
  private tries = 0;
  /** Whether it was said that the server is full: once is enough while it stays so. */
  private full = false;
  private timer = 0;
  /** Pings since the server was heard. */
  private silent = 0;

  /** `rate` is the microphone's. `refused` is called with a sentence where the server will not have us or what we wish for. */
  constructor(
    wishes: Wishes,
    private readonly rate: number,
    private readonly refused: (code: string, message: string) => void,
  ) {
    this.wishes = structuredClone(wishes);
    window.setInterval(() => this.ping(), PING_SECONDS * 1000);
  }

  join(): void {
    this.leave();
    this.vitals.state = "joining";
    this.silent = 0;
    this.session = new Session(this.rate, "live", () => (this.told = this.wishes), (message) => this.hear(message), () => this.lost());
  }

  leave(): void {
    clearTimeout(this.timer);
    this.session?.close();
    this.session = null;
    this.playout = null;
    this.placed = null;
    this.sent = 0;
    this.heardFrom = Infinity;
    this.vitals.latency = null;
    this.vitals.state = "away";
  }

  sound(samples: Int16Array): void {
    if (!this.session?.open || !this.welcome) return;
    this.clogged = this.session.waiting > (this.clogged ? 0 : 2 * this.rate * MOST_WAITING);
    if (this.clogged) return;
    this.session.sound(samples);
    this.sent += samples.length;
    // The block that came soonest tells best when it was heard; what came before a gap tells nothing any more.
    const from = seconds() - this.sent / this.rate;
    const rise = from - this.heardFrom > GAP ? Infinity : (DRIFT * samples.length) / this.rate;
    this.heardFrom = Math.min(from, this.heardFrom + rise);
  }

  /** The microphone was closed. */
  hush(): void {
    this.session?.send({ kind: "flush" });
    this.placed = null;
    this.vitals.latency = null;
    this.heardFrom = Infinity;
  }

  /** Go on otherwise. */
  wish(wishes: Wishes): void {
    this.wishes = structuredClone(wishes);
    if (this.vitals.state === "refused") return this.join();
    if (!this.session?.open) return; // its `Hello` will say them
    const others = changed(this.told, this.wishes);
    if (others) this.session.send({ kind: "change", ...others });
    this.told = this.wishes;
  }

  pose(): Pose | null {
    const now = seconds();
    const pose = this.playout?.at(now) ?? null;
    if (this.placed && this.playout?.delay != null && Number.isFinite(this.heardFrom)) {
      const heard = this.heardFrom + this.placed.sample / this.rate;
      this.vitals.latency = 1000 * (this.placed.time + this.playout.delay - heard);
    }
    return pose;
  }

  /** A link may die without being closed: then nothing comes any more. */
  private ping(): void {
    if (!this.session?.open) return;
    if (this.silent >= MOST_SILENT) return this.lost();
    this.silent += 1;
    this.session.ping();
  }

  private hear(message: FromServer): void {
    this.silent = 0;
    switch (message.kind) {
      case "welcome":
        this.full = false;
        this.welcome = message;
        if (unfit(message)) return this.giveUp("unfit", unfit(message));
        this.playout = new Playout(message.fpsNumerator / message.fpsDenominator);
        this.vitals.state = "here";
        break;
      case "frames":
        this.tries = 0; // and not at the welcome: a model may fail at its first step, again and again
        this.playout?.add(message.first, rows(message.values, this.welcome!.channels.length), seconds());
        break;
      case "interrupted":
        this.playout?.forget(message.frame);
        break;
      case "placed":
        this.placed = message;
        break;
      case "health":
        this.vitals.health = message;
        break;
      case "pong":
        this.vitals.trip = 1000 * (seconds() - message.time);
        break;
      case "fault":
        if (FINAL.includes(message.code)) return this.giveUp(message.code, message.message);
        this.told = null; // the last change may not have been made
        if (message.code === "busy" && this.full) return;
        this.full = message.code === "busy";
        this.refused(message.code, message.message);
        break;
    }
  }

  /** The server's model is not for us or for what we wish for: asking the same again would not change that. */
  private giveUp(code: string, why: string): void {
    this.leave();
    this.vitals.state = "refused";
    this.refused(code, why);
  }

  private lost(): void {
    this.leave();
    this.tries += 1;
    this.timer = window.setTimeout(() => this.join(), 1000 * Math.min(0.5 * 2 ** this.tries, LONGEST_WAIT));
  }
}

/** What of the wishes is another than before, all of them where that is not known; null where nothing is. */
function changed(before: Wishes | null, now: Wishes): Omit<Change, "kind"> | null {
  const differs = (name: keyof Wishes): boolean => JSON.stringify(before?.[name]) !== JSON.stringify(now[name]);
  if (!differs("seed") && !differs("style") && !differs("gains")) return null;
  return {
    seed: differs("seed") ? now.seed : null,
    style: differs("style") ? now.style : null,
    gains: differs("gains") ? now.gains : null,
  };
}
