/** VRM's five vowels from ARKit weights: `artalk.retarget.vrm.from_arkit`, here a frame at a time. */

import { Reader } from "./facts";
import type { Facts, Pose } from "./facts";

const ROUNDS = 300;

/** Finds the shares of vowels, 0 to 1 and together at most 1, that are nearest to a pose's mouth. */
export function vowels(facts: Facts): (pose: Pose) => Record<string, number> {
  const reader = new Reader(facts.channels);
  const names = Object.keys(facts.vowels);
  const basis = names.map((name) => facts.vowels[name]!);
  const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, x, k) => sum + x * b[k]!, 0);
  const square = basis.map((a, i) => basis.map((b, j) => dot(a, b) + (i === j ? 1e-4 : 0)));
  return (pose) => {
    const told = tells(reader, pose, facts.parting);
    const wanted = basis.map((row) => dot(row, told) - 0.003);
    const shares = names.map(() => 0);
    // Coordinate descent in a box: the problem is convex and has five unknowns.
    for (let round = 0; round < ROUNDS; round++)
      for (let k = 0; k < names.length; k++) {
        const rest = dot(square[k]!, shares) - square[k]![k]! * shares[k]!;
        shares[k] = Math.min(Math.max((wanted[k]! - rest) / square[k]![k]!, 0), 1);
      }
    const total = Math.max(shares.reduce((sum, share) => sum + share, 0), 1);
    return Object.fromEntries(names.map((name, k) => [name, shares[k]! / total]));
  };
}

/**
 * How far lips are apart, spread, funnelled and puckered; a smile counts as spread as far as the mouth is open, and a
 * funnel as far as it is no lower lip that comes down.
 */
function tells(reader: Reader, pose: Pose, parting: number): number[] {
  const clip = (x: number): number => Math.min(Math.max(x, 0), 1);
  const lowered = reader.both(pose, "mouthLowerDown");
  const jaw = clip(reader.at(pose, "jawOpen") - reader.at(pose, "mouthClose"));
  const open = clip(jaw + parting * (lowered + reader.both(pose, "mouthUpperUp")));
  const spread = Math.max(
    reader.both(pose, "mouthStretch"),
    0.6 * reader.both(pose, "mouthSmile"),
    0.6 * reader.both(pose, "mouthDimple"),
  );
  return [open, clip(spread * clip(open / 0.1)), clip(reader.at(pose, "mouthFunnel") - lowered), clip(reader.at(pose, "mouthPucker"))];
}
