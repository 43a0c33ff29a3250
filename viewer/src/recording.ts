/** What the microphone hears, block by block. */

export class Recording {
  /** Samples so far: counted as they come, as ten minutes have 56,000 blocks. */
  length = 0;
  private readonly blocks: Int16Array[] = [];

  add(block: Int16Array): void {
    this.blocks.push(block);
    this.length += block.length;
  }

  joined(): Int16Array {
    const all = new Int16Array(this.length);
    let at = 0;
    for (const block of this.blocks) {
      all.set(block, at);
      at += block.length;
    }
    return all;
  }
}
