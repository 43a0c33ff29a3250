/** The microphone as blocks of 16-bit samples. */

export class Microphone {
  private stream: MediaStream | null = null;
  private source: MediaStreamAudioSourceNode | null = null;
  private node: AudioWorkletNode | null = null;

  constructor(
    private readonly context: AudioContext,
    private readonly block: (samples: Int16Array) => void,
  ) {}

  get open(): boolean {
    return this.stream !== null;
  }

  /** Throws an `Error` with a sentence where there is no microphone to be had. */
  async start(): Promise<void> {
    if (!navigator.mediaDevices)
      throw new Error("A browser gives the microphone to https and localhost only: open the page there, or drop a sound.");
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({
        audio: { channelCount: 1, echoCancellation: false, noiseSuppression: true, autoGainControl: true },
      });
    } catch (error) {
      const denied = error instanceof DOMException && error.name === "NotAllowedError";
      throw new Error(
        denied
          ? "The microphone was not allowed. Allow it beside the address, or drop a sound file."
          : "No microphone was found. Plug one in, or drop a sound file.",
      );
    }
    await this.context.audioWorklet.addModule("microphone.js");
    this.node = new AudioWorkletNode(this.context, "microphone", { numberOfOutputs: 0 });
    this.node.port.onmessage = ({ data }) => this.block(data as Int16Array);
    this.source = this.context.createMediaStreamSource(this.stream);
    this.source.connect(this.node);
  }

  stop(): void {
    this.source?.disconnect();
    if (this.node) this.node.port.onmessage = null;
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = this.source = this.node = null;
  }
}
