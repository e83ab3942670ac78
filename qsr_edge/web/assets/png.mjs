// PNG, row by row: a large picture is never whole in memory, but for its compressed file.

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const CHANNELS = 3;
const PAETH = 4;

const CRC = Uint32Array.from({length: 256}, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) {
    c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  }
  return c;
});

function crc(bytes) {
  let c = 0xffffffff;
  for (const byte of bytes) {
    c = CRC[(c ^ byte) & 0xff] ^ (c >>> 8);
  }
  return (c ^ 0xffffffff) >>> 0;
}

function chunk(type, data) {
  const bytes = new Uint8Array(12 + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  bytes.set(new TextEncoder().encode(type), 4);
  bytes.set(data, 8);
  view.setUint32(8 + data.length, crc(bytes.subarray(4, 8 + data.length)));
  return bytes;
}

/** Writes an RGB picture of 8 bits, from top to bottom. */
export class PngWriter {
  #width;
  #parts;
  #above;
  #writer;
  #reading;

  /**
   * @param {number} width columns.
   * @param {number} height rows.
   */
  constructor(width, height) {
    this.#width = width;
    this.#above = new Uint8Array(width * CHANNELS);
    const header = new Uint8Array(13);
    const view = new DataView(header.buffer);
    view.setUint32(0, width);
    view.setUint32(4, height);
    header.set([8, 2, 0, 0, 0], 8); // bits, RGB, deflate, filters, no interlace
    this.#parts = [SIGNATURE, chunk('IHDR', header), chunk('sRGB', Uint8Array.of(0))];
    const stream = new CompressionStream('deflate');
    this.#writer = stream.writable.getWriter();
    this.#reading = this.#collect(stream.readable);
    this.#reading.catch(() => {}); // told by `finish`
  }

  async #collect(readable) {
    const reader = readable.getReader();
    for (let {done, value} = await reader.read(); !done; {done, value} = await reader.read()) {
      // A blob may be kept outside of the page's memory.
      this.#parts.push(new Blob([chunk('IDAT', value)]));
    }
  }

  /**
   * The next rows.
   *
   * @param {Uint8Array} rgb (rows, width, 3).
   * @param {number} rows how many.
   */
  async write(rgb, rows) {
    const bytes = this.#width * CHANNELS;
    const filtered = new Uint8Array(rows * (bytes + 1));
    for (let y = 0; y < rows; y++) {
      const row = rgb.subarray(y * bytes, (y + 1) * bytes);
      filterPaeth(row, this.#above, filtered.subarray(y * (bytes + 1), (y + 1) * (bytes + 1)));
      this.#above = row;
    }
    this.#above = this.#above.slice();
    await this.#writer.write(filtered);
  }

  /** @return {Promise<Blob>} the file. */
  async finish() {
    await this.#writer.close();
    await this.#reading;
    this.#parts.push(chunk('IEND', new Uint8Array(0)));
    return new Blob(this.#parts, {type: 'image/png'});
  }

  /** Drop what was written. */
  async abandon() {
    this.#parts = [];
    await this.#writer.abort().catch(() => {});
  }
}

/** Each byte less the neighbour, left, above or above left, that is nearest to left + above - above left. */
function filterPaeth(row, above, target) {
  target[0] = PAETH;
  for (let i = 0; i < row.length; i++) {
    const a = i < CHANNELS ? 0 : row[i - CHANNELS];
    const b = above[i];
    const c = i < CHANNELS ? 0 : above[i - CHANNELS];
    const pa = Math.abs(b - c);
    const pb = Math.abs(a - c);
    const pc = Math.abs(a + b - 2 * c);
    target[i + 1] = row[i] - (pa <= pb && pa <= pc ? a : pb <= pc ? b : c);
  }
}
