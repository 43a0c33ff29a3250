/** The face that lives: a session that is kept open, fed by the microphone or by nothing. */

import type { Pose } from "./facts";
import { Playout, rows } from "./playout";
import type { FromServer, Health, Welcome } from "./protocol";
import { Session } from "./server";
import type { Wishes } from "./server";

const PING_SECONDS = 5;
const LONGEST_WAIT = 8;

export interface Vitals {
  state: "joining" | "here" | "away";
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
  private rate = 48000;
  private sent = 0;
  /** This page's time at which sample 0 was heard. */
  private heardFrom = Infinity;
  private wishes: Wishes;
  private placed: { sample: number; time: number } | null = null;
  private tries = 0;
  private timer = 0;

  /** `refused` is called with a sentence where the server will not have us or what we wish for. */
  constructor(
    wishes: Wishes,
    private readonly refused: (code: string, message: string) => void,
  ) {
    this.wishes = structuredClone(wishes);
    window.setInterval(() => this.session?.send({ kind: "ping", time: seconds() }), PING_SECONDS * 1000);
  }

  join(): void {
    this.leave();
    this.vitals.state = "joining";
    this.session = new Session(this.rate, "live", this.wishes, (message) => this.hear(message), () => this.lost());
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

  /** The microphone's rate; a session has one, so another one begins where it changes. */
  listenAt(rate: number): void {
    if (rate === this.rate) return;
    this.rate = rate;
    if (this.session) this.join();
  }

  sound(samples: Int16Array): void {
    if (!this.session?.open || !this.welcome) return;
    this.session.sound(samples);
    this.sent += samples.length;
    this.heardFrom = Math.min(this.heardFrom, seconds() - this.sent / this.rate);
  }

  /** The microphone was closed. */
  hush(): void {
    this.session?.send({ kind: "flush" });
    this.placed = null;
    this.vitals.latency = null;
    this.heardFrom = Infinity;
  }

  /** Go on otherwise; a session that has a style can have another but not none, so that one begins anew. */
  wish(wishes: Wishes): void {
    const styled = Object.keys(this.wishes.style).length > 0;
    this.wishes = structuredClone(wishes);
    const free = Object.keys(wishes.style).length === 0;
    if (free && styled && this.session) this.join();
    else this.session?.send({ kind: "change", ...this.wishes, style: free ? null : this.wishes.style });
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

  private hear(message: FromServer): void {
    switch (message.kind) {
      case "welcome":
        this.tries = 0;
        this.welcome = message;
        this.playout = new Playout(message.fpsNumerator / message.fpsDenominator);
        this.vitals.state = "here";
        break;
      case "frames":
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
        this.refused(message.code, message.message);
        break;
    }
  }

  private lost(): void {
    this.leave();
    this.tries += 1;
    this.timer = window.setTimeout(() => this.join(), 1000 * Math.min(0.5 * 2 ** this.tries, LONGEST_WAIT));
  }
}
