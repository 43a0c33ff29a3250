/** The user's own head: any GLB with ARKit's shapes under whatever names, or a VRM of either version. */

import { Box3, Mesh, Object3D, Vector3 } from "three";
import type { Material, Texture } from "three";
import { GLTFLoader } from "three/addons/loaders/GLTFLoader.js";
import type { GLTF } from "three/addons/loaders/GLTFLoader.js";
import { VRMHumanBoneName, VRMLoaderPlugin, VRMUtils } from "@pixiv/three-vrm";
import type { VRM } from "@pixiv/three-vrm";
import type { Actor } from "./actor";
import { Reader } from "./facts";
import type { Facts, Pose } from "./facts";
import { Joint } from "./joints";
import { matched } from "./names";
import { vowels } from "./vowels";

const HEAD_BONE = /^(.*[^a-z])?head$/i;
const EYE_BONE = /eye/i;
const LEFT = /left|(^|[^a-z])l([^a-z]|$)/i;
const RIGHT = /right|(^|[^a-z])r([^a-z]|$)/i;

/** Read an avatar. Throws an `Error` with a sentence for people where it is none. */
export async function loadAvatar(file: File, facts: Facts): Promise<Actor> {
  const gltf = await parse(file);
  const vrm = gltf.userData.vrm as VRM | undefined;
  if (vrm) VRMUtils.rotateVRM0(vrm);
  const object = vrm?.scene ?? gltf.scene;
  object.updateMatrixWorld(true);
  object.traverse((part) => (part.frustumCulled = false));

  const parts = [shapesOf(object, facts), ...(vrm ? [expressionsOf(vrm, facts)] : [])];
  // Shapes under ARKit's names say more than VRM's presets, which would move the same mouth twice.
  const face = parts.reduce((best, part) => (part.shapes.size > best.shapes.size ? part : best));
  const presets = vrm && face.shapes.size < 20 ? presetsOf(vrm, facts) : null;
  const head = headOf(object, vrm);
  if (!face.shapes.size && !presets && !head)
    throw new Error(`${file.name} has no shape with an ARKit name, no VRM expression and no head bone: nothing would move`);
  const eyes = vrm?.lookAt ? gazeOf(vrm, facts) : eyesOf(object, facts);
  return {
    object,
    focus: focusOf(object, head?.bone ?? null),
    name: file.name,
    lacks: presets ? "" : lacking(face.shapes, facts),
    show(pose) {
      if (presets) presets(pose);
      else face.show(pose);
      head?.turn(pose[52]!, pose[53]!, pose[54]!);
      eyes(pose);
    },
    tick: (seconds) => vrm?.update(Math.min(seconds, 0.1)),
    dispose: () => forget(object),
  };
}

/** A VRM that does not keep to VRM's rules is read as the glTF that it is as well. */
async function parse(file: File): Promise<GLTF> {
  const bytes = await file.arrayBuffer();
  const loader = new GLTFLoader();
  const plain = new GLTFLoader();
  loader.register((parser) => new VRMLoaderPlugin(parser));
  try {
    return await loader.parseAsync(bytes, "").catch(() => plain.parseAsync(bytes, ""));
  } catch (error) {
    throw new Error(`${file.name} cannot be read as glTF: ${error instanceof Error ? error.message : String(error)}`);
  }
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

/** VRM's own expressions: five vowels and the lids. */
function presetsOf(vrm: VRM, facts: Facts): ((pose: Pose) => void) | null {
  const manager = vrm.expressionManager;
  if (!manager) return null;
  const solve = vowels(facts);
  const reader = new Reader(facts.channels);
  return (pose) => {
    for (const [name, weight] of Object.entries(solve(pose))) manager.setValue(name, weight);
    const left = reader.at(pose, "eyeBlinkLeft");
    const right = reader.at(pose, "eyeBlinkRight");
    const both = Math.min(left, right);
    manager.setValue("blink", both);
    manager.setValue("blinkLeft", left - both);
    manager.setValue("blinkRight", right - both);
  };
}

function gazeOf(vrm: VRM, facts: Facts): (pose: Pose) => void {
  const reader = new Reader(facts.channels);
  const degrees = (facts.gaze * 180) / Math.PI;
  return (pose) => {
    const [up, left] = reader.gaze(pose);
    vrm.lookAt!.yaw = left * degrees;
    vrm.lookAt!.pitch = -up * degrees;
  };
}

function eyesOf(object: Object3D, facts: Facts): (pose: Pose) => void {
  const reader = new Reader(facts.channels);
  const bone = (side: RegExp): Joint | null => {
    const found = find(object, (part) => !(part instanceof Mesh) && EYE_BONE.test(part.name) && side.test(part.name));
    return found ? new Joint(found) : null;
  };
  const joints = { Left: bone(LEFT), Right: bone(RIGHT) };
  return (pose) => {
    for (const side of ["Left", "Right"] as const) {
      const [down, left] = reader.eye(pose, side);
      joints[side]?.turn(facts.gaze * down, facts.gaze * left, 0);
    }
  };
}

function headOf(object: Object3D, vrm: VRM | undefined): Joint | null {
  const bone = vrm
    ? vrm.humanoid.getNormalizedBoneNode(VRMHumanBoneName.Head)
    : find(object, (part) => !(part instanceof Mesh) && HEAD_BONE.test(part.name));
  return bone ? new Joint(bone) : null;
}

function find(object: Object3D, fits: (part: Object3D) => boolean): Object3D | null {
  let found: Object3D | null = null;
  object.traverse((part) => (found ??= fits(part) ? part : null));
  return found;
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

function lacking(shapes: Set<string>, facts: Facts): string {
  const missing = facts.channels.slice(0, 52).filter((name) => !shapes.has(name));
  if (!missing.length) return "";
  if (missing.length === 52) return "It has no shapes with ARKit names: only its bones move.";
  const some = missing.slice(0, 6).join(", ") + (missing.length > 6 ? " …" : "");
  return `It lacks ${missing.length} of ARKit's 52 shapes: ${some}`;
}

function forget(object: Object3D): void {
  object.traverse((part) => {
    if (!(part instanceof Mesh)) return;
    part.geometry.dispose();
    for (const material of [part.material].flat() as Material[]) {
      for (const value of Object.values(material)) if ((value as Texture | null)?.isTexture) (value as Texture).dispose();
      material.dispose();
    }
  });
}
