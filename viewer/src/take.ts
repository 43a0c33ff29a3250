/** A sound and its performance: made by the server as fast as it can, kept here, played in step with the sound. */

import type { Pose } from "./facts";
import { soundIs } from "./page";
import { between, rows } from "./playout";
import { Session, unfit } from "./server";
import type { Wishes } from "./server";

/** Samples of a message, and bytes that may wait before more are handed over. */
const BLOCK = 16384;
const FULL = 1 << 18;

const PING_SECONDS = 15;

/** Bytes of a WAV file before its samples. */
export const WAV_HEADER = 44;

export class Take {
  fps = 25;
  /** Whether all frames of the present wishes are there. */
  whole = false;
  /** Whether they will not come. */
  failed = false;
  saved = false;
  private frames: Pose[] = [];
  private session: Session | null = null;

  constructor(
    readonly name: string,
    readonly samples: Int16Array,
    readonly rate: number,
  ) {}

  get seconds(): number {
    return this.samples.length / this.rate;
  }

  get made(): number {
    return this.frames.length / this.fps;
  }

  /** Make the frames, in the place of those that an earlier wish left. `refused` gets a code and a sentence. */
  perform(wishes: Wishes, refused: (code: string, message: string) => void): void {
    this.session?.close();
    this.whole = this.failed = false;
    let width = 0;
    const fail = (code: string, message: string): void => {
      session.close(); // so that its end, which follows, says nothing else
      this.failed = true;
      refused(code, message);
    };
    const session = new Session(
      this.rate,
      "free",
      () => wishes,
      (message) => {
        if (message.kind === "welcome") {
          if (unfit(message)) return fail("unfit", unfit(message));
          this.fps = message.fpsNumerator / message.fpsDenominator;
          width = message.channels.length;
          session.keepAlive(PING_SECONDS); // after the sound nothing else comes from here, however long its frames take
          void this.send(session);
        } else if (message.kind === "frames")
          rows(message.values, width).forEach((pose, k) => (this.frames[message.first + k] = pose));
        else if (message.kind === "finished") {
          this.frames.length = message.frames;
          this.whole = true;
          session.close();
        } else if (message.kind === "fault") (message.fatal ? fail : refused)(message.code, message.message);
      },
      () => fail("gone", "The server went away before the performance was whole."),
    );
    this.session = session;
  }

  /** The pose at a time in seconds. */
  at(time: number): Pose | null {
    const place = Math.min(Math.max(time * this.fps, 0), this.frames.length - 1);
    const first = this.frames[Math.floor(place)];
    const second = this.frames[Math.ceil(place)];
    return first && second ? between(first, second, place % 1) : (first ?? null);
  }

  /** Frame `k`, if it has been made. */
  frame(k: number): Pose | undefined {
    return this.frames[k];
  }

  close(): void {
    this.session?.close();
  }

  private async send(session: Session): Promise<void> {
    for (let at = 0; at < this.samples.length; at += BLOCK) {
      while (session.open && session.waiting > FULL) await new Promise((done) => setTimeout(done, 10));
      session.sound(this.samples.subarray(at, at + BLOCK));
    }
    session.send({ kind: "finish" });
  }

  /** The sound as a 16-bit WAV file. */
  wav(): Blob {
    const bytes = this.samples.byteLength;
    const header = new DataView(new ArrayBuffer(WAV_HEADER));
    const text = (at: number, word: string): void => [...word].forEach((c, k) => header.setUint8(at + k, c.charCodeAt(0)));
    text(0, "RIFF");
    header.setUint32(4, 36 + bytes, true);
    text(8, "WAVEfmt ");
    header.setUint32(16, 16, true);
    header.setUint16(20, 1, true);
    header.setUint16(22, 1, true);
    header.setUint32(24, this.rate, true);
    header.setUint32(28, 2 * this.rate, true);
    header.setUint16(32, 2, true);
    header.setUint16(34, 16, true);
    text(36, "data");
    header.setUint32(40, bytes, true);
    return new Blob([header, this.samples as Int16Array<ArrayBuffer>], { type: "audio/wav" });
  }
}

/** How many times longer than allowed a file may say that it is and still be read: of some it is a guess. */
const DOUBT = 1.5;

/** Milliseconds that a file has to say how long it is. */
const SILENT = 3000;

/** "this server takes 600 s at most" */
export const atMost = (longest: number): string => `this server takes ${Math.floor(10 * longest) / 10} s at most`;

/** Any sound file that the browser can read, mixed to one channel. Throws an `Error` with a sentence. */
export async function readTake(file: Blob, name: string, context: AudioContext, longest: number): Promise<Take> {
  const refuse = (seconds: number): never => {
    throw new Error(`${name} is ${Math.ceil(10 * seconds) / 10} s long; ${atMost(longest)}.`);
  };
  // A film of two hours takes gigabytes as samples.
  const said = await lengthOf(file);
  if (Number.isFinite(said) && said > DOUBT * longest) refuse(said);
  let buffer: AudioBuffer;
  try {
    buffer = await context.decodeAudioData(await file.arrayBuffer());
  } catch {
    throw new Error(`${name} is no sound that this browser can read: try WAV, MP3, FLAC, Ogg or M4A.`);
  }
  if (buffer.duration > longest) refuse(buffer.duration);
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, k) => buffer.getChannelData(k));
  const samples = new Int16Array(buffer.length);
  for (let k = 0; k < samples.length; k++) {
    const mean = channels.reduce((sum, channel) => sum + channel[k]!, 0) / channels.length;
    samples[k] = Math.round(Math.min(Math.max(mean * 32768, -32768), 32767));
  }
  return new Take(name, samples, buffer.sampleRate);
}

/** The seconds that a sound file says that it has, before it is decoded; NaN where it does not say. */
async function lengthOf(file: Blob): Promise<number> {
  const probe = new Audio();
  const address = URL.createObjectURL(file);
  const length = await new Promise<number>((tell) => {
    probe.onloadedmetadata = () => tell(probe.duration);
    probe.onerror = () => tell(NaN);
    setTimeout(() => tell(NaN), SILENT);
    probe.preload = "metadata";
    probe.src = address;
  });
  probe.onerror = null;
  probe.removeAttribute("src");
  probe.load(); // which lets the file go
  URL.revokeObjectURL(address);
  return length;
}

/** Plays a take's sound and tells where it is. */
export class Player {
  playing = false;
  private loops = false;
  private from = 0;
  private began = 0;
  private source: AudioBufferSourceNode | null = null;
  private readonly buffer: AudioBuffer;

  constructor(
    private readonly context: AudioContext,
    readonly take: Take,
  ) {
    this.buffer = context.createBuffer(1, Math.max(take.samples.length, 1), take.rate);
    const samples = this.buffer.getChannelData(0);
    take.samples.forEach((sample, k) => (samples[k] = sample / 32768));
  }

  get loop(): boolean {
    return this.loops;
  }

  set loop(on: boolean) {
    const place = this.position;
    this.loops = on;
    if (this.playing) this.play(place);
  }

  /** Seconds of the take that are heard now: what was handed to the sound card is heard a little later. */
  get position(): number {
    if (!this.playing) return this.from;
    const passed = this.context.currentTime - this.began - (this.context.outputLatency || 0);
    const heard = this.from + Math.max(passed, 0);
    return this.loops ? heard % this.take.seconds : Math.min(heard, this.take.seconds);
  }

  play(from = this.position): void {
    this.stop();
    soundIs("playback");
    this.from = from >= this.take.seconds - 0.02 ? 0 : Math.max(from, 0);
    this.source = this.context.createBufferSource();
    this.source.buffer = this.buffer;
    this.source.loop = this.loops;
    this.source.connect(this.context.destination);
    this.source.onended = () => this.end();
    this.source.start(0, this.from);
    this.began = this.context.currentTime;
    this.playing = true;
  }

  pause(): void {
    this.from = this.position;
    this.stop();
    this.playing = false;
  }

  /** The last sample was handed over: what of it is still to be heard does not count. */
  private end(): void {
    this.stop();
    this.playing = false;
    this.from = this.take.seconds;
  }

  seek(to: number): void {
    const place = Math.min(Math.max(to, 0), this.take.seconds);
    if (this.playing) this.play(Math.min(place, this.take.seconds - 0.05));
    else this.from = place;
  }

  private stop(): void {
    if (!this.source) return;
    this.source.onended = null;
    this.source.stop();
    this.source.disconnect();
    this.source = null;
  }
}
