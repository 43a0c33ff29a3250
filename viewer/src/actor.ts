/** What performs on the stage. */

import type { Box3, Object3D } from "three";
import type { Pose } from "./facts";

export interface Actor {
  readonly object: Object3D;
  /** What a portrait of it shows. */
  readonly focus: Box3;
  readonly name: string;
  /** What it cannot show, as a sentence; "" where it can show all. */
  readonly lacks: string;
  show(pose: Pose): void;
  /** Let hair and cloth swing. */
  tick(seconds: number): void;
  dispose(): void;
}
