/** The user's own head: any GLB with ARKit's shapes under whatever names, or a VRM of either version. */

import { Box3, Mesh, Object3D, Vector3 } from "three";
import { GLTFLoader } from "three/addons/loaders/GLTFLoader.js";
import type { GLTF } from "three/addons/loaders/GLTFLoader.js";
import { VRMLoaderPlugin, VRMLookAtExpressionApplier, VRMUtils } from "@pixiv/three-vrm";
import type { VRM, VRMLookAt } from "@pixiv/three-vrm";
import type { Actor } from "./actor";
import { boneOf } from "./bones";
import type { BoneName } from "./bones";
import { Reader } from "./facts";
import type { Facts, Pose } from "./facts";
import { Joint } from "./joints";
import { matched } from "./names";
import { vowels } from "./vowels";

/** With fewer of ARKit's shapes than this a VRM speaks better by its vowels. */
const FEW = 20;

const BONES: Record<BoneName, string> = { head: "the head", leftEye: "the left eye", rightEye: "the right eye" };

type Joints = Record<BoneName, Joint | null>;

/** Read an avatar. Throws an `Error` with a sentence for people where it is none. */
export async function loadAvatar(file: File, facts: Facts): Promise<Actor> {
  const gltf = await parse(file);
  const vrm = gltf.userData.vrm as VRM | undefined;
  if (vrm) VRMUtils.rotateVRM0(vrm);
  const object = vrm?.scene ?? gltf.scene;
  object.updateMatrixWorld(true);
  object.traverse((part) => (part.frustumCulled = false));

  const face = faceOf(object, vrm, facts);
  const joints = jointsOf(object, vrm);
  if (face.still && !joints.head)
    throw new Error(`${file.name} has no shape with an ARKit name, no VRM expression and no head bone: nothing would move`);
  const eyes = vrm?.lookAt ? gazeOf(vrm.lookAt, facts) : eyesOf(joints, facts);
  let last: Pose | null = null;
  return {
    object,
    focus: focusOf(object, joints.head?.bone ?? null),
    name: file.name,
    lacks: [face.lacks, boneless(joints, vrm)].filter(Boolean).join(" "),
    show(pose) {
      last = pose;
      face.show(pose);
      joints.head?.turn(pose[52]!, pose[53]!, pose[54]!);
      eyes(pose);
    },
    tick(seconds) {
      vrm?.update(Math.min(seconds, 0.1));
      if (face.undone && last) face.show(last);
    },
    dispose: () => VRMUtils.deepDispose(object),
  };
}

/** What three.js says of parts that it has no decoder for. */
const COMPRESSED = /DRACOLoader|MeshoptDecoder|KTX2/i;

/** A VRM that does not keep to VRM's rules is read as the glTF that it is as well. */
async function parse(file: File): Promise<GLTF> {
  const bytes = await file.arrayBuffer();
  const loader = new GLTFLoader();
  const plain = new GLTFLoader();
  loader.register((parser) => new VRMLoaderPlugin(parser));
  try {
    return await loader.parseAsync(bytes, "").catch(() => plain.parseAsync(bytes, ""));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    if (COMPRESSED.test(why))
      throw new Error(`${file.name} is compressed, which this page does not read: export it without compression, or run npx @gltf-transform/cli copy in.glb out.glb`);
    throw new Error(`${file.name} cannot be read as glTF: ${why}`);
  }
}

interface Face {
  /** Whether none of it would move. */
  still: boolean;
  /** Whether a VRM's own update undoes it: its expressions zero all morphs that they bind. */
  undone: boolean;
  lacks: string;
  show(pose: Pose): void;
}

/** ARKit's shapes where there are enough of them, or else what a VRM has in their place. */
function faceOf(object: Object3D, vrm: VRM | undefined, facts: Facts): Face {
  const morphs = shapesOf(object, facts);
  const expressions = vrm && expressionsOf(vrm, facts);
  const best = expressions && expressions.shapes.size > morphs.shapes.size ? expressions : morphs;
  // Not both: they would move the same mouth twice.
  const mouth = vrm && best.shapes.size < FEW ? vowelsOf(vrm, facts) : null;
  const lids = vrm && (mouth || !best.shapes.has("eyeBlinkLeft")) ? lidsOf(vrm, facts) : null;
  return {
    still: !best.shapes.size && !mouth && !lids,
    undone: vrm !== undefined && best === morphs && !mouth,
    lacks: mouth
      ? `It has few of ARKit's shapes: its vowels${lids ? " and lids" : ""} move, brows and smiles do not.`
      : lacking(best.shapes, lids !== null, facts),
    show(pose) {
      if (mouth) mouth(pose);
      else best.show(pose);
      lids?.(pose);
    },
  };
}

interface Part {
  /** The ARKit shapes that it can show. */
  shapes: Set<string>;
  show(pose: Pose): void;
}

/** Morph targets with ARKit names. */
function shapesOf(object: Object3D, facts: Facts): Part {
  const shapes = new Set<string>();
  const moves: ((pose: Pose) => void)[] = [];
  object.traverse((part) => {
    if (!(part instanceof Mesh) || !part.morphTargetDictionary) return;
    const mix = matched(Object.keys(part.morphTargetDictionary), facts);
    for (const { from } of mix) for (const name of from) shapes.add(name);
    const columns = mix.map(({ name, from }) => ({
      target: part.morphTargetDictionary![name]!,
      from: from.map((shape) => facts.channels.indexOf(shape)),
    }));
    moves.push((pose) => {
      for (const { target, from } of columns)
        part.morphTargetInfluences![target] = from.reduce((sum, column) => sum + pose[column]!, 0) / from.length;
    });
  });
  return { shapes, show: (pose) => moves.forEach((move) => move(pose)) };
}

/** VRM's custom expressions with ARKit names ("perfect sync"). */
function expressionsOf(vrm: VRM, facts: Facts): Part {
  const manager = vrm.expressionManager;
  const mix = matched(Object.keys(manager?.customExpressionMap ?? {}), facts);
  const columns = mix.map(({ name, from }) => ({ name, from: from.map((shape) => facts.channels.indexOf(shape)) }));
  return {
    shapes: new Set(mix.flatMap(({ from }) => from)),
    show(pose) {
      for (const { name, from } of columns)
        manager!.setValue(name, from.reduce((sum, column) => sum + pose[column]!, 0) / from.length);
    },
  };
}

/** VRM's own vowels; null where it has none. */
function vowelsOf(vrm: VRM, facts: Facts): ((pose: Pose) => void) | null {
  const manager = vrm.expressionManager;
  if (!manager || !Object.keys(facts.vowels).some((name) => manager.getExpression(name))) return null;
  const solve = vowels(facts);
  return (pose) => {
    for (const [name, weight] of Object.entries(solve(pose))) manager.setValue(name, weight);
  };
}

/** VRM's own lids; null where it has none. */
function lidsOf(vrm: VRM, facts: Facts): ((pose: Pose) => void) | null {
  const manager = vrm.expressionManager;
  if (!manager || !["blink", "blinkLeft", "blinkRight"].some((name) => manager.getExpression(name))) return null;
  const reader = new Reader(facts.channels);
  return (pose) => {
    const left = reader.at(pose, "eyeBlinkLeft");
    const right = reader.at(pose, "eyeBlinkRight");
    const both = manager.getExpression("blink") ? Math.min(left, right) : 0;
    manager.setValue("blink", both);
    manager.setValue("blinkLeft", left - both);
    manager.setValue("blinkRight", right - both);
  };
}

function gazeOf(lookAt: VRMLookAt, facts: Facts): (pose: Pose) => void {
  const reader = new Reader(facts.channels);
  const degrees = (facts.gaze * 180) / Math.PI;
  return (pose) => {
    const [up, left] = reader.gaze(pose);
    lookAt.yaw = left * degrees;
    lookAt.pitch = -up * degrees;
  };
}

function eyesOf(joints: Joints, facts: Facts): (pose: Pose) => void {
  const reader = new Reader(facts.channels);
  return (pose) => {
    for (const side of ["Left", "Right"] as const) {
      const [down, left] = reader.eye(pose, side);
      joints[side === "Left" ? "leftEye" : "rightEye"]?.turn(facts.gaze * down, facts.gaze * left, 0);
    }
  };
}

/** The bones of a VRM's own map, or else those that have the names. */
function jointsOf(object: Object3D, vrm: VRM | undefined): Joints {
  const joint = (name: BoneName): Joint | null => {
    const bone = vrm?.humanoid.getNormalizedBoneNode(name) ?? boneOf(object, name);
    return bone ? new Joint(bone) : null;
  };
  return { head: joint("head"), leftEye: joint("leftEye"), rightEye: joint("rightEye") };
}

/** The box of the head: above its bone, or the upper part of a tall mesh. */
function focusOf(object: Object3D, bone: Object3D | null): Box3 {
  const box = new Box3().setFromObject(object);
  const size = box.getSize(new Vector3());
  const middle = box.getCenter(new Vector3());
  const at = bone?.getWorldPosition(new Vector3());
  const inside = at && at.y > box.min.y + 0.2 * size.y && at.y < box.max.y - 0.02 * size.y;
  const low = inside ? at.y - 0.15 * (box.max.y - at.y) : Math.max(box.min.y, box.max.y - 1.3 * Math.min(size.x, size.z));
  const half = (box.max.y - low) / 2.6;
  const x = inside ? at.x : middle.x;
  const z = inside ? at.z : middle.z;
  return new Box3(new Vector3(x - half, low, z - half), new Vector3(x + half, box.max.y, z + half));
}

function lacking(shapes: Set<string>, lids: boolean, facts: Facts): string {
  const there = (name: string): boolean => shapes.has(name) || (lids && name.startsWith("eyeBlink"));
  const missing = facts.channels.slice(0, 52).filter((name) => !there(name));
  if (!missing.length) return "";
  if (missing.length === 52) return "It has no shapes with ARKit names: only its bones move.";
  const some = missing.slice(0, 6).join(", ") + (missing.length > 6 ? " …" : "");
  return `It lacks ${missing.length} of ARKit's 52 shapes: ${some}.`;
}

/** The bones that it lacks, as a sentence; a VRM that looks by expressions needs none for its eyes. */
function boneless(joints: Joints, vrm: VRM | undefined): string {
  const looks = vrm?.lookAt?.applier instanceof VRMLookAtExpressionApplier;
  const missing = (["head", "leftEye", "rightEye"] as const).filter((name) => !joints[name] && (name === "head" || !looks));
  return missing.length ? `It has no bone for ${missing.map((name) => BONES[name]).join(", ")}.` : "";
}
