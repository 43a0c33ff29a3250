// Generated from src/artalk/stream/protocol.py by `python -m artalk.stream.typescript`: change it there.

export const VERSION = 1;

/**
 * The first message. `resume` is the state that a `Saved` or a `Closing` of an earlier session carried.
 */
export interface Hello {
  kind: "hello";
  version: number;
  sampleRate: number;
  encoding: "pcm16" | "float32" | "opus";
  pace: "live" | "burst" | "free";
  seed: number;
  model: string;
  token: string;
  style: Record<string, number>;
  gains: Record<string, number>;
  resume: Uint8Array;
}

/**
 * More sound, directly after what came before, in the encoding that `Hello` named.
 */
export interface Sound {
  kind: "sound";
  data: Uint8Array;
}

/**
 * The turn has ended: what was said becomes frames without waiting for more sound.
 */
export interface Flush {
  kind: "flush";
}

/**
 * Stop speaking. `frame` is the first one that was not shown yet; None leaves it to the server's clock.
 */
export interface Interrupt {
  kind: "interrupt";
  frame: number | null;
}

/**
 * Go on with another seed, other shares of named styles ({}: none) or other gains; None leaves each as it is.
 */
export interface Change {
  kind: "change";
  seed: number | null;
  style: Record<string, number> | null;
  gains: Record<string, number> | null;
}

/**
 * Ask for the session's state.
 */
export interface Save {
  kind: "save";
}

/**
 * The sound has ended for good: the remaining frames come, then `Finished`, and the server closes.
 */
export interface Finish {
  kind: "finish";
}

/**
 * Ask for a `Pong`; `time` is the client's own, returned as it is.
 */
export interface Ping {
  kind: "ping";
  time: number;
}

/**
 * The session stands. `latency` is the seconds of sound past a frame's own time that its making may need.
 *
 * `lead` is the seconds that frames of sound which came early are made ahead of the clock; `clock` is the session's
 * time when this was sent: 0, or where it was saved.
 */
export interface Welcome {
  kind: "welcome";
  version: number;
  session: string;
  model: string;
  fpsNumerator: number;
  fpsDenominator: number;
  latency: number;
  lead: number;
  bufferSeconds: number;
  clock: number;
  space: string;
  channels: string[];
  styles: string[];
}

/**
 * Frames `first`, `first` + 1, … as rows of `values`, of this `turn`; `clock` is the session's time when sent.
 */
export interface Frames {
  kind: "frames";
  turn: number;
  first: number;
  clock: number;
  values: Float32Array;
}

/**
 * The client's sample number `sample` and those after it are heard from `time` seconds of the session on.
 *
 * Sent when a turn begins and whenever sound was dropped, frames were left out or silence was put in between.
 */
export interface Placed {
  kind: "placed";
  turn: number;
  sample: number;
  time: number;
}

/**
 * What was said in this turn ends before frame `frame`; after it the face idles.
 */
export interface Ended {
  kind: "ended";
  turn: number;
  frame: number;
}

/**
 * Speech stopped: forget frames from `frame` on. Those that follow begin there and belong to `turn`.
 */
export interface Interrupted {
  kind: "interrupted";
  turn: number;
  frame: number;
}

/**
 * How the session fares, about once a second. Counters are since it began.
 *
 * `queued` is the seconds of sound that wait, `late` the milliseconds from a window's sound being there to its
 * frames being sent, the worst of the last second.
 */
export interface Health {
  kind: "health";
  clock: number;
  queued: number;
  late: number;
  frames: number;
  framesDropped: number;
  samplesDropped: number;
  samplesFilled: number;
}

/**
 * The answer to a `Ping`, and the session's `clock`.
 */
export interface Pong {
  kind: "pong";
  time: number;
  clock: number;
}

/**
 * The session's state, for the `resume` of a later `Hello` at any server with the same secret.
 */
export interface Saved {
  kind: "saved";
  state: Uint8Array;
}

/**
 * All sound is worked through: the session had this many frames.
 */
export interface Finished {
  kind: "finished";
  frames: number;
}

/**
 * Something was wrong: `code` for programs, `message` for people. After a `fatal` one the server closes.
 */
export interface Fault {
  kind: "fault";
  code: string;
  message: string;
  fatal: boolean;
}

/**
 * The server stops; `state` goes on elsewhere as the `resume` of a `Hello`.
 */
export interface Closing {
  kind: "closing";
  reason: string;
  state: Uint8Array;
}

export type FromClient =
  | Hello
  | Sound
  | Flush
  | Interrupt
  | Change
  | Save
  | Finish
  | Ping;

export type FromServer =
  | Welcome
  | Frames
  | Placed
  | Ended
  | Interrupted
  | Health
  | Pong
  | Saved
  | Finished
  | Fault
  | Closing;

export type Message = FromClient | FromServer;

// prettier-ignore
const LAYOUT: Record<Message["kind"], readonly [number, readonly Field[]]> = {
  hello: [1, [{ name: "version", wire: "u16" }, { name: "sampleRate", wire: "u32" }, { name: "encoding", wire: "choice", options: ["pcm16", "float32", "opus"] }, { name: "pace", wire: "choice", options: ["live", "burst", "free"] }, { name: "seed", wire: "u32" }, { name: "model", wire: "text" }, { name: "token", wire: "text" }, { name: "style", wire: "shares" }, { name: "gains", wire: "shares" }, { name: "resume", wire: "blob" }]],
  sound: [2, [{ name: "data", wire: "blob" }]],
  flush: [3, []],
  interrupt: [4, [{ name: "frame", wire: "u64", optional: true }]],
  change: [5, [{ name: "seed", wire: "u32", optional: true }, { name: "style", wire: "shares", optional: true }, { name: "gains", wire: "shares", optional: true }]],
  save: [6, []],
  finish: [7, []],
  ping: [8, [{ name: "time", wire: "f64" }]],
  welcome: [65, [{ name: "version", wire: "u16" }, { name: "session", wire: "text" }, { name: "model", wire: "text" }, { name: "fpsNumerator", wire: "u32" }, { name: "fpsDenominator", wire: "u32" }, { name: "latency", wire: "f64" }, { name: "lead", wire: "f64" }, { name: "bufferSeconds", wire: "f64" }, { name: "clock", wire: "f64" }, { name: "space", wire: "text" }, { name: "channels", wire: "names" }, { name: "styles", wire: "names" }]],
  frames: [66, [{ name: "turn", wire: "u32" }, { name: "first", wire: "u64" }, { name: "clock", wire: "f64" }, { name: "values", wire: "values" }]],
  placed: [67, [{ name: "turn", wire: "u32" }, { name: "sample", wire: "u64" }, { name: "time", wire: "f64" }]],
  ended: [68, [{ name: "turn", wire: "u32" }, { name: "frame", wire: "u64" }]],
  interrupted: [69, [{ name: "turn", wire: "u32" }, { name: "frame", wire: "u64" }]],
  health: [70, [{ name: "clock", wire: "f64" }, { name: "queued", wire: "f32" }, { name: "late", wire: "f32" }, { name: "frames", wire: "u64" }, { name: "framesDropped", wire: "u64" }, { name: "samplesDropped", wire: "u64" }, { name: "samplesFilled", wire: "u64" }]],
  pong: [71, [{ name: "time", wire: "f64" }, { name: "clock", wire: "f64" }]],
  saved: [72, [{ name: "state", wire: "blob" }]],
  finished: [73, [{ name: "frames", wire: "u64" }]],
  fault: [74, [{ name: "code", wire: "text" }, { name: "message", wire: "text" }, { name: "fatal", wire: "bool" }]],
  closing: [75, [{ name: "reason", wire: "text" }, { name: "state", wire: "blob" }]],
};

type Field = { name: string; wire: string; options?: readonly string[]; optional?: boolean };

const NUMBERS = Object.fromEntries(
  Object.entries(LAYOUT).map(([kind, [number]]) => [number, kind]),
) as Record<number, Message["kind"]>;

/** The bytes of a message. Throws a RangeError where a value does not fit its field. */
export function encode(message: Message): Uint8Array<ArrayBuffer> {
  const [number, fields] = LAYOUT[message.kind];
  const writer = new Writer();
  writer.number("u8", number);
  for (const field of fields) writer.write(field, (message as unknown as Record<string, unknown>)[field.name]);
  return writer.bytes();
}

/** The message in `buffer`. Throws a RangeError for anything that `encode` would not have written. */
export function decode(buffer: ArrayBuffer): Message {
  const reader = new Reader(buffer);
  const kind = NUMBERS[reader.number("u8")];
  if (kind === undefined) throw new RangeError("unknown message");
  const message: Record<string, unknown> = { kind };
  for (const field of LAYOUT[kind][1]) message[field.name] = reader.read(field);
  if (!reader.done) throw new RangeError(`${kind}: bytes left over`);
  return message as unknown as Message;
}

const SIZES: Record<string, number> = { u8: 1, u16: 2, u32: 4, u64: 8, f32: 4, f64: 8 };

class Writer {
  private out = new Uint8Array(256);
  private at = 0;

  bytes(): Uint8Array<ArrayBuffer> {
    return this.out.slice(0, this.at);
  }

  number(wire: string, value: number): void {
    const place = this.room(SIZES[wire]!);
    if (!Number.isFinite(value)) throw new RangeError("numbers are finite");
    if (wire === "f32") return place.setFloat32(0, value, true);
    if (wire === "f64") return place.setFloat64(0, value, true);
    if (!Number.isSafeInteger(value) || value < 0 || value >= 2 ** Math.min(8 * SIZES[wire]!, 53))
      throw new RangeError(`${value} is no ${wire}`);
    if (wire === "u8") return place.setUint8(0, value);
    if (wire === "u16") return place.setUint16(0, value, true);
    if (wire === "u32") return place.setUint32(0, value, true);
    place.setBigUint64(0, BigInt(value), true);
  }

  write(field: Field, value: unknown): void {
    if (field.optional) {
      this.number("u8", value === null || value === undefined ? 0 : 1);
      if (value === null || value === undefined) return;
    }
    switch (field.wire) {
      case "choice":
        return this.number("u8", field.options!.indexOf(value as string));
      case "bool":
        return this.number("u8", value ? 1 : 0);
      case "text":
        return this.text(value as string);
      case "names":
        this.number("u16", (value as string[]).length);
        return (value as string[]).forEach((text) => this.text(text));
      case "shares": {
        const shares = Object.entries(value as Record<string, number>);
        this.number("u8", shares.length);
        return shares.forEach(([name, share]) => (this.text(name), this.number("f32", share)));
      }
      case "blob":
        return this.raw(value as Uint8Array);
      case "values": {
        this.room((4 - (this.at % 4)) % 4);
        const values = value as Float32Array;
        return this.raw(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
      }
      default:
        this.number(field.wire, value as number);
    }
  }

  private text(text: string): void {
    const encoded = new TextEncoder().encode(text);
    this.number("u16", encoded.length);
    this.raw(encoded);
  }

  private raw(bytes: Uint8Array): void {
    this.room(bytes.length);
    this.out.set(bytes, this.at - bytes.length);
  }

  private room(size: number): DataView {
    if (this.at + size > this.out.length) {
      const wider = new Uint8Array(Math.max(2 * this.out.length, this.at + size));
      wider.set(this.out);
      this.out = wider;
    }
    this.at += size;
    return new DataView(this.out.buffer, this.at - size, size);
  }
}

class Reader {
  private at = 0;
  private buffer: ArrayBuffer;
  private view: DataView;

  constructor(buffer: ArrayBuffer) {
    this.buffer = buffer;
    this.view = new DataView(buffer);
  }

  get done(): boolean {
    return this.at === this.buffer.byteLength;
  }

  number(wire: string): number {
    const at = this.take(SIZES[wire]!);
    switch (wire) {
      case "u8":
        return this.view.getUint8(at);
      case "u16":
        return this.view.getUint16(at, true);
      case "u32":
        return this.view.getUint32(at, true);
      case "u64":
        return Number(this.view.getBigUint64(at, true));
      case "f32":
        return this.view.getFloat32(at, true);
      default:
        return this.view.getFloat64(at, true);
    }
  }

  read(field: Field): unknown {
    if (field.optional && this.number("u8") === 0) return null;
    switch (field.wire) {
      case "choice": {
        const option = field.options![this.number("u8")];
        if (option === undefined) throw new RangeError(`${field.name}: no such choice`);
        return option;
      }
      case "bool":
        return this.number("u8") === 1;
      case "text":
        return this.text();
      case "names":
        return Array.from({ length: this.number("u16") }, () => this.text());
      case "shares":
        return Object.fromEntries(Array.from({ length: this.number("u8") }, () => [this.text(), this.number("f32")]));
      case "blob": {
        const count = this.left;
        return new Uint8Array(this.buffer, this.take(count), count);
      }
      case "values": {
        this.take((4 - (this.at % 4)) % 4);
        const count = this.left / 4;
        if (!Number.isInteger(count)) throw new RangeError("values are 4 bytes each");
        return new Float32Array(this.buffer, this.take(4 * count), count);
      }
      default:
        return this.number(field.wire);
    }
  }

  private get left(): number {
    return this.buffer.byteLength - this.at;
  }

  private text(): string {
    const length = this.number("u16");
    return new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array(this.buffer, this.take(length), length));
  }

  private take(count: number): number {
    if (count > this.left) throw new RangeError("the message is too short");
    this.at += count;
    return this.at - count;
  }
}
