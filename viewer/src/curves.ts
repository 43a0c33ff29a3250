/** The main channels as curves, the sound above them, and where we are. */

import { Reader } from "./facts";
import type { Facts, Pose } from "./facts";
import type { Player } from "./take";

/** Seconds that are seen at once. */
const LIVE_SPAN = 8;
const TAKE_SPAN = 12;

const LEFT = 58;
const WAVE = 26;

/** Pixels that a lane needs. */
const LOWEST = 15;

interface Lane {
  name: string;
  /** Goes below zero as well. */
  signed: boolean;
  /** May go where there is little room. */
  minor: boolean;
  value(reader: Reader, pose: Pose): number;
}

const LANES: Lane[] = [
  { name: "jaw", signed: false, minor: false, value: (r, p) => r.at(p, "jawOpen") * 1.6 },
  { name: "rounding", signed: false, minor: true, value: (r, p) => Math.max(r.at(p, "mouthFunnel"), r.at(p, "mouthPucker")) * 1.3 },
  { name: "smile", signed: false, minor: true, value: (r, p) => Math.max(r.both(p, "mouthSmile"), r.both(p, "mouthStretch")) * 1.6 },
  { name: "brows", signed: true, minor: false, value: (r, p) => Math.max(r.at(p, "browInnerUp"), r.both(p, "browOuterUp")) - r.both(p, "browDown") },
  { name: "blink", signed: false, minor: false, value: (r, p) => r.both(p, "eyeBlink") },
  { name: "head", signed: true, minor: false, value: (r, p) => r.at(p, "headY") * 5 },
];

interface Moment {
  time: number;
  pose: Pose;
  loudness: number;
}

export class Curves {
  private readonly pen: CanvasRenderingContext2D;
  private readonly reader: Reader;
  private readonly style: CSSStyleDeclaration;
  private past: Moment[] = [];
  /** The loudest of each hundredth of a second of the take, and the shape that they have in so many pixels. */
  private peaks: Float32Array = new Float32Array();
  private outline: { across: number; shape: Path2D } | null = null;
  private player: Player | null = null;
  /** The seconds that a drag goes over, from end to end; null where nothing is held. */
  private held: [number, number] | null = null;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    facts: Facts,
  ) {
    this.pen = canvas.getContext("2d")!;
    this.reader = new Reader(facts.channels);
    this.style = getComputedStyle(canvas);
    canvas.addEventListener("pointerdown", (event) => {
      if (!this.player) return;
      const above = event.clientY - canvas.getBoundingClientRect().top < WAVE;
      this.held = above ? [0, this.player.take.seconds] : this.window(this.player);
      canvas.setPointerCapture(event.pointerId);
      this.scrub(event);
    });
    canvas.addEventListener("pointermove", (event) => this.scrub(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => (this.held = null));
  }

  /** Show a take, or the present where it is null. */
  show(player: Player | null): void {
    this.player = player;
    this.held = null;
    this.past = [];
    this.outline = null;
    // Live there is no place to go to.
    this.canvas.tabIndex = player ? 0 : -1;
    this.canvas.setAttribute("aria-disabled", String(!player));
    if (!player) return;
    const { samples, rate } = player.take;
    const step = rate / 100;
    this.peaks = Float32Array.from({ length: Math.ceil(samples.length / step) }, (_, k) => loudest(samples, k * step, step));
  }

  /** Remember what is shown now; `loudness` is 0 to 1. */
  remember(time: number, pose: Pose, loudness: number): void {
    this.past.push({ time, pose, loudness });
    while (this.past[0]!.time < time - LIVE_SPAN) this.past.shift();
  }

  draw(now: number): void {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const ratio = Math.min(window.devicePixelRatio, 2);
    if (this.canvas.width !== Math.round(width * ratio)) this.canvas.width = Math.round(width * ratio);
    if (this.canvas.height !== Math.round(height * ratio)) this.canvas.height = Math.round(height * ratio);
    this.pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.pen.clearRect(0, 0, width, height);
    const lanes = LANES.filter((lane) => height > 130 || !lane.minor).slice(0, Math.floor((height - WAVE) / LOWEST));
    if (this.player) this.drawTake(this.player, lanes, width, height);
    else this.drawPast(now, lanes, width, height);
  }

  private drawPast(now: number, lanes: Lane[], width: number, height: number): void {
    const x = (time: number): number => LEFT + (1 - (now - time) / LIVE_SPAN) * (width - LEFT);
    this.wave(shape(this.past.map(({ time, loudness }) => [x(time), loudness])));
    lanes.forEach((lane, k) =>
      this.lane(lane, this.past.map(({ time, pose }) => [x(time), lane.value(this.reader, pose)]), k, lanes.length, width, height),
    );
  }

  private drawTake(player: Player, lanes: Lane[], width: number, height: number): void {
    const { take, position } = player;
    const across = width - LEFT;
    const overview = (time: number): number => LEFT + (time / take.seconds) * across;
    const [from, to] = this.window(player);
    const x = (time: number): number => LEFT + ((time - from) / (to - from)) * across;
    this.wave(this.outlined(across));
    if (to - from < take.seconds) {
      this.pen.fillStyle = this.color("--veil");
      this.pen.fillRect(overview(from), 0, overview(to) - overview(from), WAVE);
    }
    const first = Math.max(0, Math.floor(from * take.fps));
    const last = Math.ceil(to * take.fps);
    lanes.forEach((lane, k) => {
      const line: [number, number][] = [];
      for (let frame = first; frame <= last; frame++) {
        const pose = take.frame(frame);
        if (pose) line.push([x(frame / take.fps), lane.value(this.reader, pose)]);
      }
      this.lane(lane, line, k, lanes.length, width, height);
    });
    this.pen.fillStyle = this.color("--accent");
    this.pen.fillRect(overview(position) - 0.75, 0, 1.5, WAVE);
    this.pen.fillRect(x(position) - 0.75, WAVE, 1.5, height - WAVE);
  }

  /** The seconds that the lanes show: all of a short take, else what is round the present place; held, they stand. */
  private window({ take, position }: Player): [number, number] {
    const span = Math.min(take.seconds, TAKE_SPAN);
    if (this.held && this.held[1] - this.held[0] <= span) return this.held;
    const from = Math.min(Math.max(position - span / 2, 0), take.seconds - span);
    return [from, from + span];
  }

  /** The take's sound, made once for a width: ten minutes have 60,000 peaks. */
  private outlined(across: number): Path2D {
    if (this.outline?.across !== across) {
      const line = reduced(this.peaks, Math.ceil(across)).map((peak, k, all): [number, number] => [
        LEFT + (k / all.length) * across,
        peak,
      ]);
      this.outline = { across, shape: shape(line) };
    }
    return this.outline.shape;
  }

  private wave(shape: Path2D): void {
    this.pen.fillStyle = this.color("--wave");
    this.pen.fill(shape);
  }

  private lane(lane: Lane, line: [number, number][], k: number, of: number, width: number, height: number): void {
    const tall = (height - WAVE) / of;
    const top = WAVE + k * tall;
    const zero = lane.signed ? top + tall / 2 : top + tall - 2;
    const reach = (lane.signed ? tall / 2 : tall) - 4;
    this.pen.fillStyle = this.color("--line");
    this.pen.fillRect(LEFT, Math.round(zero), width - LEFT, 1);
    this.pen.fillStyle = this.color("--quiet");
    this.pen.font = "11px system-ui, sans-serif";
    this.pen.textBaseline = "middle";
    this.pen.fillText(lane.name, 0, top + tall / 2 + 1);
    if (line.length < 2) return;
    const y = (value: number): number => zero - Math.min(Math.max(value, lane.signed ? -1 : 0), 1) * reach;
    this.pen.beginPath();
    line.forEach(([x, value], place) => (place ? this.pen.lineTo(x, y(value)) : this.pen.moveTo(x, y(value))));
    this.pen.strokeStyle = this.color("--curve");
    this.pen.lineWidth = 1.5;
    this.pen.lineJoin = "round";
    this.pen.stroke();
    this.pen.lineTo(line.at(-1)![0], zero);
    this.pen.lineTo(line[0]![0], zero);
    this.pen.fillStyle = this.color("--curve-fill");
    this.pen.fill();
  }

  private scrub(event: PointerEvent): void {
    if (!this.player || !this.held) return;
    const box = this.canvas.getBoundingClientRect();
    const share = (event.clientX - box.left - LEFT) / (box.width - LEFT);
    const [from, to] = this.held;
    this.player.seek(from + share * (to - from));
  }

  private color(name: string): string {
    return this.style.getPropertyValue(name);
  }
}

/** A line of places and loudnesses as a shape round the middle of the upper strip. */
function shape(line: [number, number][]): Path2D {
  const half = (loud: number): number => Math.max(0.5, Math.min(loud, 1) * (WAVE / 2 - 2));
  const path = new Path2D();
  for (const [x, loud] of line) path.lineTo(x, WAVE / 2 - half(loud));
  for (const [x, loud] of line.toReversed()) path.lineTo(x, WAVE / 2 + half(loud));
  return path;
}

/** The peaks in at most `count` pieces, of each the highest. */
function reduced(peaks: Float32Array, count: number): number[] {
  const pieces = Math.min(peaks.length, count);
  const at = (k: number): number => Math.floor((k * peaks.length) / pieces);
  return Array.from({ length: pieces }, (_, k) => Math.max(...peaks.subarray(at(k), at(k + 1))));
}

/** The loudest of some samples, 0 to 1, drawn larger where it is soft. */
export function loudest(samples: Int16Array, from = 0, count = samples.length): number {
  let most = 0;
  const end = Math.min(from + count, samples.length);
  for (let k = Math.floor(from); k < end; k++) most = Math.max(most, Math.abs(samples[k]!));
  return Math.sqrt(most / 32768);
}
