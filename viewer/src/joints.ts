/** Bones that turn in the world's axes, whatever their own are. */

import { Object3D, Quaternion, Vector3 } from "three";

/** A bone and where it stands at rest. */
export class Joint {
  private readonly rest: Quaternion;
  private readonly above = new Quaternion();
  private readonly turned = new Quaternion();
  private readonly axis = new Vector3();

  constructor(readonly bone: Object3D) {
    this.rest = bone.quaternion.clone();
    bone.parent?.getWorldQuaternion(this.above);
  }

  /** Turn by a rotation vector in radians: x nods down, y turns to the subject's left, z tilts to its right. */
  turn(x: number, y: number, z: number): void {
    const angle = Math.hypot(x, y, z);
    this.turned.identity();
    if (angle > 1e-9) this.turned.setFromAxisAngle(this.axis.set(x, y, z).divideScalar(angle), angle);
    this.bone.quaternion.copy(this.above).invert().multiply(this.turned).multiply(this.above).multiply(this.rest);
  }
}
