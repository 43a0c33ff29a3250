/** The built-in head, lit by the same shader as the library's own pictures. */

import { Box3, Color, DoubleSide, FrontSide, Mesh, MeshStandardMaterial, Object3D, ShaderMaterial, Vector3 } from "three";
import type { Camera, IUniform } from "three";
import { GLTFLoader } from "three/addons/loaders/GLTFLoader.js";
import type { Actor } from "./actor";
import { Reader } from "./facts";
import type { Facts, Pose, Triple } from "./facts";
import { Joint } from "./joints";
import { file } from "./server";
import { Shapes } from "./shapes";

const VERTEX = `
#include <common>
#include <skinning_pars_vertex>
attribute float _open;
uniform vec3 tint;
centroid varying vec3 at;
centroid varying vec3 across;
centroid varying vec3 tone_;
centroid varying float open_;
void main() {
  #include <beginnormal_vertex>
  #include <skinbase_vertex>
  #include <skinnormal_vertex>
  #include <begin_vertex>
  #include <skinning_vertex>
  #include <project_vertex>
  at = (modelMatrix * vec4(transformed, 1.0)).xyz;
  across = mat3(modelMatrix) * objectNormal;
  tone_ = clamp(color.rgb * tint, 0.0, 1.0);
  open_ = _open;
}
`;

const FRAGMENT = `
uniform vec3 finish;
centroid varying vec3 at;
centroid varying vec3 across;
centroid varying vec3 tone_;
centroid varying float open_;
void main() {
  vec3 n = across / max(length(across), 1e-6);
  n = gl_FrontFacing ? n : -n;
  gl_FragColor = vec4(tone(shade(at, n, tone_, finish, open_)), 1.0);
}
`;

/** What all materials of the head share; the lights stand still in the camera's frame. */
class Light {
  readonly uniforms: Record<string, IUniform>;
  private readonly directions: Vector3[];

  constructor(private readonly facts: Facts) {
    this.directions = facts.lights.map(() => new Vector3());
    this.uniforms = {
      eye: { value: new Vector3() },
      up: { value: new Vector3() },
      light_directions: { value: this.directions },
      light_colors: { value: facts.lights.map((light) => new Vector3(...light.color)) },
      sky: { value: new Vector3(...facts.sky) },
      ground: { value: new Vector3(...facts.ground) },
    };
  }

  follow(camera: Camera): void {
    camera.getWorldPosition(this.uniforms.eye!.value as Vector3);
    (this.uniforms.up!.value as Vector3).setFromMatrixColumn(camera.matrixWorld, 1);
    this.directions.forEach((direction, k) =>
      direction.set(...this.facts.lights[k]!.direction).transformDirection(camera.matrixWorld),
    );
  }

  material(given: MeshStandardMaterial, finish: Triple): ShaderMaterial {
    return new ShaderMaterial({
      name: given.name,
      vertexShader: VERTEX,
      fragmentShader: this.facts.glsl + FRAGMENT,
      uniforms: {
        ...this.uniforms,
        tint: { value: new Color().copy(given.color) },
        finish: { value: new Vector3(...finish) },
      },
      vertexColors: true,
      side: given.side === DoubleSide ? DoubleSide : FrontSide,
      toneMapped: false,
    });
  }
}

export async function loadHead(facts: Facts): Promise<Actor> {
  const gltf = await new GLTFLoader().parseAsync(await (await file("head.glb")).arrayBuffer(), "");
  const light = new Light(facts);
  const reader = new Reader(facts.channels);
  const names = facts.channels.slice(0, 52);
  const faces: { mesh: Mesh; shapes: Shapes }[] = [];
  const joints = new Map<string, Joint>();
  gltf.scene.updateMatrixWorld(true);
  gltf.scene.traverse((part: Object3D) => {
    if (["head", "leftEye", "rightEye"].includes(part.name)) joints.set(part.name, new Joint(part));
    if (!(part instanceof Mesh)) return;
    const given = part.material as MeshStandardMaterial;
    part.material = light.material(given, facts.materials[given.name]!.finish);
    part.frustumCulled = false;
    part.onBeforeRender = (_renderer, _scene, camera) => light.follow(camera);
    given.dispose();
    faces.push({ mesh: part, shapes: new Shapes(part, names) });
  });
  return {
    object: gltf.scene,
    focus: new Box3(new Vector3(...facts.focus[0]), new Vector3(...facts.focus[1])),
    name: "the built-in head",
    lacks: "",
    show(pose: Pose) {
      for (const { shapes } of faces) shapes.show(pose);
      joints.get("head")!.turn(pose[52]!, pose[53]!, pose[54]!);
      for (const side of ["Left", "Right"] as const) {
        const [down, left] = reader.eye(pose, side);
        joints.get(side === "Left" ? "leftEye" : "rightEye")!.turn(facts.gaze * down, facts.gaze * left, 0);
      }
    },
    tick() {},
    dispose() {
      for (const { mesh } of faces) {
        mesh.geometry.dispose();
        (mesh.material as ShaderMaterial).dispose();
      }
    },
  };
}
