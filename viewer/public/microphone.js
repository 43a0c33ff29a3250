// In the audio thread: blocks of about 10 ms as 16-bit samples, until any message comes.
class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Int16Array(128 * Math.max(1, Math.round(sampleRate / 12800)));
    this.filled = 0;
    this.wanted = true;
    this.port.onmessage = () => (this.wanted = false);
  }

  // A processor lives, unplugged too, as long as this is true.
  process([input]) {
    if (!this.wanted || !input.length) return this.wanted;
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
