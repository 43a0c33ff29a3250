/** What the page knows from the library (face.json, written by scripts/page_assets). */

export type Triple = [number, number, number];

export interface Facts {
  /** `shade` and `tone`, the light that our videos have. */
  glsl: string;
  lights: { direction: Triple; color: Triple }[];
  sky: Triple;
  ground: Triple;
  /** By material: roughness, specular, subsurface. */
  materials: Record<string, { finish: Triple }>;
  /** ARKit's 52 weights, then the head's rotation vector in radians. */
  channels: string[];
  /** The vertical field of view in radians. */
  lens: number;
  /** The box of the built-in head, crown to chin, in metres. */
  focus: [Triple, Triple];
  /** Radians that an eye turns at weight 1. */
  gaze: number;
  /** Lower-case spellings of shapes: how far from ARKit's own, and which shape. */
  spellings: Record<string, [number, string][]>;
  /** VRM's vowels as opening, spreading, funnel and pucker. */
  vowels: Record<string, [number, number, number, number]>;
  /** How far a lowered or raised lip parts the mouth, beside the jaw. */
  parting: number;
}

/** One frame: a number for each of `Facts.channels`. */
export type Pose = Float32Array;

export async function loadFacts(): Promise<Facts> {
  const answer = await fetch("face.json");
  if (!answer.ok) throw new Error(`face.json: ${answer.status}`);
  return (await answer.json()) as Facts;
}

/** Reads poses by the names of channels. */
export class Reader {
  private readonly column: Map<string, number>;

  constructor(channels: readonly string[]) {
    this.column = new Map(channels.map((name, place) => [name, place]));
  }

  /** The value of a channel, 0 where there is none of that name. */
  at(pose: Pose, name: string): number {
    const column = this.column.get(name);
    return column === undefined ? 0 : (pose[column] ?? 0);
  }

  /** The mean of both sides. */
  both(pose: Pose, name: string): number {
    return (this.at(pose, `${name}Left`) + this.at(pose, `${name}Right`)) / 2;
  }

  /** Where both eyes look together: up and to the subject's left, -1 to 1. */
  gaze(pose: Pose): [number, number] {
    const look = (where: string, side: string): number => this.at(pose, `eyeLook${where}${side}`);
    const up = (look("Up", "Left") - look("Down", "Left") + look("Up", "Right") - look("Down", "Right")) / 2;
    const left = (look("Out", "Left") - look("In", "Left") + look("In", "Right") - look("Out", "Right")) / 2;
    return [up, left];
  }

  /** Pitch (down) and yaw (to the subject's left) of one eye, in units of `Facts.gaze`. */
  eye(pose: Pose, side: "Left" | "Right"): [number, number] {
    const look = (where: string): number => this.at(pose, `eyeLook${where}${side}`);
    const outwards = look("Out") - look("In");
    return [look("Down") - look("Up"), side === "Left" ? outwards : -outwards];
  }
}
