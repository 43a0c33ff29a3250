/** Frames as they come, shown when they are due: late enough that none is missing, no later. */

import type { Pose } from "./facts";

/** Seconds over which the slowest frame counts. */
const MEMORY = 4;

/** Seconds of frames that are kept at most: a hidden page shows none, and they come all the same. */
const KEPT = 10;

/** How fast the delay may change, in seconds a second: a pose that runs slower or faster by this is not noticed. */
const GROWS = 0.5;
const SHRINKS = 0.06;

export class Playout {
  /** Seconds between a frame's place in the session and its showing, by this page's clock. */
  delay: number | null = null;
  private frames: { frame: number; pose: Pose }[] = [];
  private slowest: { at: number; behind: number }[] = [];
  private last = 0;

  constructor(private readonly fps: number) {}

  /** Frames from `first` on, which came at `now`. */
  add(first: number, poses: readonly Pose[], now: number): void {
    this.forget(first);
    poses.forEach((pose, k) => this.frames.push({ frame: first + k, pose }));
    this.frames.splice(0, this.frames.length - Math.round(KEPT * this.fps));
    this.slowest.push({ at: now, behind: now - first / this.fps });
    this.slowest = this.slowest.filter(({ at }) => at > now - MEMORY);
  }

  /** Drop frames from `frame` on. */
  forget(frame: number): void {
    while (this.frames.length && this.frames.at(-1)!.frame >= frame) this.frames.pop();
  }

  /** The pose that is due, between two frames where it falls between them; the last one where none came. */
  at(now: number): Pose | null {
    this.settle(now);
    if (this.delay === null || !this.frames.length) return null;
    const place = (now - this.delay) * this.fps;
    while (this.frames.length > 1 && this.frames[1]!.frame <= place) this.frames.shift();
    const [first, second] = this.frames;
    if (!second) return first!.pose;
    const share = Math.min(Math.max((place - first!.frame) / (second.frame - first!.frame), 0), 1);
    return between(first!.pose, second.pose, share);
  }

  /** Bring the delay nearer to what the slowest frame of late needed, and most of a frame to blend with the next. */
  private settle(now: number): void {
    const passed = Math.min(Math.max(now - this.last, 0), 0.25);
    this.last = now;
    if (!this.slowest.length) return;
    const wanted = Math.max(...this.slowest.map(({ behind }) => behind)) + 0.75 / this.fps;
    if (this.delay === null || Math.abs(wanted - this.delay) > 1) this.delay = wanted;
    else this.delay += Math.min(Math.max(wanted - this.delay, -SHRINKS * passed), GROWS * passed);
  }
}

export function between(a: Pose, b: Pose, share: number): Pose {
  return a.map((x, k) => x + share * (b[k]! - x));
}

/** The rows of a message's values. */
export function rows(values: Float32Array, width: number): Pose[] {
  return Array.from({ length: values.length / width }, (_, k) => values.slice(k * width, (k + 1) * width));
}
