/** The microphone as blocks of 16-bit samples. */

import { soundIs } from "./page";

export class Microphone {
  private stream: MediaStream | null = null;
  private source: MediaStreamAudioSourceNode | null = null;
  private node: AudioWorkletNode | null = null;
  /** The start that counts; none where it is off. */
  private starting: Promise<boolean> | null = null;
  /** Counts starts and stops: a start that was overtaken while the browser asked gives back what it got. */
  private turn = 0;

  /** `ended` is called where the microphone goes away by itself: unplugged, or no longer allowed. */
  constructor(
    private readonly context: AudioContext,
    private readonly block: (samples: Int16Array) => void,
    private readonly ended: () => void,
  ) {}

  get open(): boolean {
    return this.stream !== null;
  }

  /** Whether it is open or about to be. */
  get wanted(): boolean {
    return this.starting !== null;
  }

  /**
   * Whether it is open now: not so where `stop` came in between. Another start meanwhile waits for the same one.
   * Throws an `Error` with a sentence where there is no microphone to be had.
   */
  start(): Promise<boolean> {
    this.starting ??= this.begin(++this.turn);
    return this.starting;
  }

  stop(): void {
    this.turn += 1;
    this.starting = null;
    this.source?.disconnect();
    if (this.node) this.node.port.onmessage = null;
    this.node?.port.postMessage("stop");
    release(this.stream);
    this.stream = this.source = this.node = null;
  }

  private async begin(turn: number): Promise<boolean> {
    let stream: MediaStream | null = null;
    try {
      soundIs("auto"); // a player may not listen
      stream = await asked();
      if (turn === this.turn) await added(this.context);
      if (turn === this.turn) this.connect(stream);
      else release(stream);
    } catch (error) {
      release(stream);
      if (turn !== this.turn) return false;
      this.stop();
      throw error;
    }
    return turn === this.turn;
  }

  private connect(stream: MediaStream): void {
    this.node = new AudioWorkletNode(this.context, "microphone", { numberOfOutputs: 0 });
    this.node.port.onmessage = ({ data }) => this.block(data as Int16Array);
    this.source = this.context.createMediaStreamSource(stream);
    this.source.connect(this.node);
    for (const track of stream.getTracks()) track.onended = () => stream === this.stream && this.ended();
    this.stream = stream;
  }
}

async function asked(): Promise<MediaStream> {
  if (!navigator.mediaDevices)
    throw new Error("A browser gives the microphone to https and localhost only: open the page there, or drop a sound.");
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: { channelCount: 1, echoCancellation: false, noiseSuppression: true, autoGainControl: true },
    });
  } catch (error) {
    throw new Error(refusal(error instanceof DOMException ? error.name : ""));
  }
}

function refusal(name: string): string {
  if (name === "NotAllowedError")
    return "The microphone was not allowed. Allow it beside the address, or in the system's settings; or drop a sound file.";
  if (name === "NotFoundError") return "No microphone was found. Plug one in, or drop a sound file.";
  return "The microphone could not be opened: another program may hold it. Close that and try again, or drop a sound file.";
}

let loading: Promise<void> | null = null;
let failures = 0;

/** A browser remembers for good that an address could not be had: the next try has another one. */
function added(context: AudioContext): Promise<void> {
  loading ??= context.audioWorklet.addModule(`microphone.js?${failures}`).catch(() => {
    loading = null;
    failures += 1;
    throw new Error("The microphone's part of the page could not be loaded: the server does not answer.");
  });
  return loading;
}

function release(stream: MediaStream | null): void {
  stream?.getTracks().forEach((track) => track.stop());
}
