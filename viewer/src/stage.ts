/** The picture: a camera that frames a head, softly lit, and a loop that draws what it is told. */

import { AmbientLight, DirectionalLight, HemisphereLight, NoToneMapping, PerspectiveCamera, Scene, Vector3, WebGLRenderer } from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";
import type { Actor } from "./actor";
import type { Facts } from "./facts";

/** Air above the crown and below the chin, in heads. */
const ABOVE = 0.16;
const BELOW = 0.34;

/** Pictures a second below which they are drawn smaller, and how small they may get. */
const SLOW = 24;
const COARSEST = 0.5;

/** Seconds that are drawn after the last motion, in which hair comes to rest; then a still picture costs nothing. */
const SETTLES = 1;

export class Stage {
  /** Pictures drawn in the last second. */
  rate = 0;
  private readonly renderer: WebGLRenderer;
  private readonly scene = new Scene();
  private readonly camera: PerspectiveCamera;
  private readonly controls: OrbitControls;
  private actor: Actor | null = null;
  /** How far away the camera is that takes a portrait. */
  private away = 0;
  private drawn: number[] = [];
  private last = 0;
  private moved = 0;
  /** Of the screen's pixels, how many are drawn across. */
  private share = 1;
  private judged = 0;

  /** `frame` is called before each picture with the time in seconds, and says whether the head moved. */
  constructor(
    private readonly canvas: HTMLCanvasElement,
    facts: Facts,
    private readonly frame: (now: number) => boolean,
  ) {
    this.renderer = new WebGLRenderer({ canvas, antialias: true, alpha: true, powerPreference: "high-performance" });
    this.renderer.toneMapping = NoToneMapping;
    this.camera = new PerspectiveCamera((facts.lens * 180) / Math.PI, 1, 0.05, 100);
    this.controls = new OrbitControls(this.camera, canvas);
    this.controls.enablePan = false;
    this.controls.enableDamping = true;
    this.controls.minPolarAngle = Math.PI * 0.25;
    this.controls.maxPolarAngle = Math.PI * 0.68;
    this.light();
    this.controls.addEventListener("change", () => (this.moved = this.last));
    new ResizeObserver(() => this.fit()).observe(canvas);
    canvas.addEventListener("dblclick", () => this.portrait());
    // Telephones take the graphics card from pages behind others; a picture in which nothing moves would stay empty.
    canvas.addEventListener("webglcontextrestored", () => (this.moved = this.last));
    this.renderer.setAnimationLoop((time) => this.draw(time / 1000));
  }

  show(actor: Actor): void {
    if (this.actor) this.scene.remove(this.actor.object);
    this.actor?.dispose();
    this.actor = actor;
    this.scene.add(actor.object);
    this.moved = this.last;
    this.fit();
    this.portrait();
  }

  /** Look at the head from the front. */
  portrait(): void {
    this.lookFrom(new Vector3(0, 0, 1));
  }

  /** Look at the head from `place`, as seen from its middle, where a portrait is taken from a distance of 1. */
  private lookFrom(place: Vector3): void {
    if (!this.actor) return;
    const box = this.actor.focus;
    const size = box.getSize(new Vector3());
    const height = size.y * (1 + ABOVE + BELOW);
    const wanted = Math.max(height, (1.5 * size.x) / this.camera.aspect);
    const away = (this.away = wanted / 2 / Math.tan((this.camera.fov * Math.PI) / 360) + size.z / 4);
    const target = box.getCenter(new Vector3());
    target.y = box.min.y - BELOW * size.y + height / 2;
    this.camera.near = away / 50;
    this.camera.far = away * 20;
    this.camera.updateProjectionMatrix();
    this.camera.position.copy(target).addScaledVector(place, away);
    this.controls.target.copy(target);
    this.controls.minDistance = away / 2.5;
    this.controls.maxDistance = away * 2;
    this.controls.update();
  }

  /** Key, fill and rim for avatars with materials of their own; they stand still in the camera's frame. */
  private light(): void {
    const lamp = (x: number, y: number, z: number, color: number, strength: number): void => {
      const light = new DirectionalLight(color, strength);
      light.position.set(x, y, z);
      light.target.position.set(0, 0, 0);
      this.camera.add(light, light.target);
    };
    lamp(-0.72, 0.66, 0.62, 0xfff0dc, 2.3);
    lamp(0.85, 0.12, 0.55, 0xdce8ff, 0.6);
    lamp(0.62, 0.5, -0.72, 0xe4eeff, 1.4);
    this.scene.add(this.camera, new HemisphereLight(0xdfe6f2, 0x8a7a70, 0.7), new AmbientLight(0xffffff, 0.25));
  }

  /** Asked for anew, as a zoom or another screen changes it. */
  private get fineness(): number {
    return Math.max(Math.min(window.devicePixelRatio, 2) * this.share, COARSEST);
  }

  private fit(): void {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width || !height) return;
    this.moved = this.last;
    this.renderer.setPixelRatio(this.fineness);
    this.renderer.setSize(width, height, false);
    const before = this.camera.aspect;
    this.camera.aspect = width / height;
    this.camera.updateProjectionMatrix();
    // Who looks from the side goes on so.
    if (before !== this.camera.aspect && this.away)
      this.lookFrom(this.camera.position.clone().sub(this.controls.target).divideScalar(this.away));
    // Another size empties the canvas, and the browser paints before the loop comes round again.
    this.renderer.render(this.scene, this.camera);
  }

  private draw(now: number): void {
    if (this.renderer.getPixelRatio() !== this.fineness) this.fit();
    if (this.frame(now)) this.moved = now;
    this.actor?.tick(now - this.last);
    this.last = now;
    this.controls.update();
    if (now > this.moved + SETTLES) return;
    this.renderer.render(this.scene, this.camera);
    this.drawn.push(now);
    while (this.drawn[0]! < now - 1) this.drawn.shift();
    this.rate = this.drawn.length;
    this.judge(now);
  }

  /** Draw fewer pixels where the machine cannot keep up: motion matters more than edges. */
  private judge(now: number): void {
    if (now < this.judged + 2) return;
    const steady = this.judged > 0 && this.drawn[0]! < now - 0.8 && this.moved > now - 0.2;
    this.judged = now;
    if (!steady || this.rate >= SLOW || this.fineness <= COARSEST) return;
    this.share *= 0.75;
    this.fit();
  }
}
