// In the audio thread: blocks of about 10 ms as 16-bit samples.
class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Int16Array(128 * Math.max(1, Math.round(sampleRate / 12800)));
    this.filled = 0;
  }

  process([input]) {
    if (!input.length) return true;
    const samples = input[0];
    for (let k = 0; k < samples.length; k++) {
      const sum = input.reduce((total, channel) => total + channel[k], 0) / input.length;
      this.block[this.filled++] = Math.round(Math.min(Math.max(sum * 32768, -32768), 32767));
      if (this.filled === this.block.length) {
        this.port.postMessage(this.block);
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("microphone", Microphone);
