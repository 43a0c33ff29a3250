/** Shapes added up on the processor: few of them are active and each moves few vertices, while a graphics card without
 * hardware would go through all of them for every vertex. */

import { BufferAttribute } from "three";
import type { BufferGeometry, Mesh } from "three";

/** The vertices that a shape moves, and by how much: position and normal, six numbers each. */
interface Shape {
  vertices: Uint32Array;
  deltas: Float32Array;
}

/** The shapes of one mesh, taken over from its morph targets. */
export class Shapes {
  private readonly rest: [Float32Array, Float32Array];
  private readonly shapes: (Shape | null)[];
  private readonly geometry: BufferGeometry;

  /** `names` are the shapes in the order of the weights that `show` gets. */
  constructor(mesh: Mesh, names: readonly string[]) {
    this.geometry = mesh.geometry;
    this.rest = [this.values("position").slice(), this.values("normal").slice()];
    this.shapes = names.map((name) => this.shape(mesh.morphTargetDictionary?.[name]));
    this.geometry.morphAttributes = {};
    mesh.morphTargetInfluences = mesh.morphTargetDictionary = undefined;
  }

  show(weights: ArrayLike<number>): void {
    const [positions, normals] = [this.values("position"), this.values("normal")];
    positions.set(this.rest[0]);
    normals.set(this.rest[1]);
    this.shapes.forEach((shape, k) => {
      const weight = weights[k]!;
      if (shape && weight) add(shape, weight, positions, normals);
    });
    for (const name of ["position", "normal"]) this.geometry.getAttribute(name).needsUpdate = true;
  }

  private values(name: string): Float32Array {
    const attribute = this.geometry.getAttribute(name);
    if (attribute instanceof BufferAttribute && attribute.array instanceof Float32Array) return attribute.array;
    throw new Error(`the head's ${name} is not what scripts/page_assets writes`);
  }

  private shape(target: number | undefined): Shape | null {
    const position = target === undefined ? undefined : this.geometry.morphAttributes.position?.[target]?.array;
    const normal = target === undefined ? undefined : this.geometry.morphAttributes.normal?.[target]?.array;
    if (!position || !normal) return null;
    const moved: number[] = [];
    for (let at = 0; at < position.length; at += 3)
      if (position[at] || position[at + 1] || position[at + 2] || normal[at] || normal[at + 1] || normal[at + 2]) moved.push(at);
    const deltas = moved.flatMap((at) => [0, 1, 2].map((k) => position[at + k]!).concat([0, 1, 2].map((k) => normal[at + k]!)));
    return moved.length ? { vertices: Uint32Array.from(moved), deltas: Float32Array.from(deltas) } : null;
  }
}

function add({ vertices, deltas }: Shape, weight: number, positions: Float32Array, normals: Float32Array): void {
  for (let k = 0, d = 0; k < vertices.length; k++) {
    const at = vertices[k]!;
    positions[at] = positions[at]! + weight * deltas[d++]!;
    positions[at + 1] = positions[at + 1]! + weight * deltas[d++]!;
    positions[at + 2] = positions[at + 2]! + weight * deltas[d++]!;
    normals[at] = normals[at]! + weight * deltas[d++]!;
    normals[at + 1] = normals[at + 1]! + weight * deltas[d++]!;
    normals[at + 2] = normals[at + 2]! + weight * deltas[d++]!;
  }
}
