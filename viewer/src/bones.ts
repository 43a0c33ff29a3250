/** Bones under other names, found as `artalk.rigs.matching` finds them. */

import { Object3D } from "three";

const WORDS = { head: ["head"], leftEye: ["left", "eye"], rightEye: ["right", "eye"] };

/** By VRM's names. */
export type BoneName = keyof typeof WORDS;

const SAME = new Map([["l", "left"], ["r", "right"], ["eyeball", "eye"]]);

/** Words in the bone names of the common rigs (Mixamo, VRoid, Character Creator, Blender) that say nothing. */
const NOISE = new Set(
  ["adj", "base", "bip", "bone", "c", "cc", "def", "face", "grp", "j", "jnt", "joint", "lower", "m", "mixamorig", "x"],
);

/** The node of that name: a joint of a skin is surer than another; then the one nearest to the root. */
export function boneOf(object: Object3D, name: BoneName): Object3D | null {
  const found: Object3D[] = [];
  object.traverse((part) => {
    if (isEmpty(part) && fits(part, WORDS[name])) found.push(part);
  });
  return found.find((part) => part.type === "Bone") ?? found[0] ?? null;
}

/** Whether a node shows nothing itself; one whose mesh has several materials is a group. */
function isEmpty({ type }: Object3D): boolean {
  return type === "Bone" || type === "Object3D";
}

function fits({ userData }: Object3D, wanted: readonly string[]): boolean {
  // three.js takes dots and colons out of names; what the file has stays here.
  const found = typeof userData.name === "string" ? words(userData.name) : new Set();
  return found.size === wanted.length && wanted.every((word) => found.has(word));
}

/** The words of a bone's name that tell which it is: "mixamorig:LeftEye" and "CC_Base_L_Eye" are left and eye. */
function words(name: string): Set<string> {
  const bare = name.slice(0, 200).split(/[:|]/).at(-1)!;
  const apart = bare.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase();
  const parts = apart.replace(/(left|right)?eye(left|right)?(ball)?/g, " $1 eye $2 ").split(/[^a-z]+/);
  return new Set(parts.map((part) => SAME.get(part) ?? part).filter((part) => part && !NOISE.has(part)));
}
