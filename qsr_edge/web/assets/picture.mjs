// A picture that was chosen, in a worker: decoded by the browser, and read rectangle by rectangle.

const RGBA = 4;
const CHANNELS = 3;
const STRIP_PIXELS = 1 << 20;

/** The pixels of an image file. Memory: 4 bytes a pixel. */
export class Picture {
  #context;

  /**
   * @param {Blob} file an image of a format that the browser reads.
   * @return {Promise<Picture>} turned upright; what is transparent is laid on white.
   * @throws {Error} if the browser cannot read it.
   */
  static async decode(file) {
    let bitmap;
    try {
      bitmap = await createImageBitmap(file, {imageOrientation: 'from-image'});
    } catch (error) {
      throw new Error(`this browser cannot read the picture (${error.message}); choose a JPEG, PNG or WebP`);
    }
    try {
      return new Picture(bitmap);
    } finally {
      bitmap.close();
    }
  }

  constructor(bitmap) {
    this.width = bitmap.width;
    this.height = bitmap.height;
    const canvas = new OffscreenCanvas(this.width, this.height);
    // Kept in memory and not on a GPU, from where it would come back pixel by pixel, and perhaps rounded.
    this.#context = canvas.getContext('2d', {alpha: false, willReadFrequently: true});
    if (!this.#context) {
      throw new Error(`${this.width}x${this.height} is too large for this browser; choose a smaller picture`);
    }
    this.#context.fillStyle = '#fff';
    this.#context.fillRect(0, 0, this.width, this.height);
    this.#context.drawImage(bitmap, 0, 0);
    /** Whether red, green and blue are equal in every pixel. */
    this.grey = this.#isGrey();
    this.read = this.read.bind(this);
  }

  /** (height, width, 3) bytes of a rectangle within the picture. */
  read(top, left, height, width) {
    const {data} = this.#context.getImageData(left, top, width, height);
    const rgb = new Uint8Array(height * width * CHANNELS);
    for (let from = 0, to = 0; from < data.length; from += RGBA, to += CHANNELS) {
      rgb[to] = data[from];
      rgb[to + 1] = data[from + 1];
      rgb[to + 2] = data[from + 2];
    }
    return rgb;
  }

  #isGrey() {
    const rows = Math.max(1, Math.floor(STRIP_PIXELS / this.width));
    for (let top = 0; top < this.height; top += rows) {
      const {data} = this.#context.getImageData(0, top, this.width, Math.min(rows, this.height - top));
      for (let i = 0; i < data.length; i += RGBA) {
        if (data[i] !== data[i + 1] || data[i] !== data[i + 2]) {
          return false;
        }
      }
    }
    return true;
  }
}

/**
 * A tile reduced for the screen: the average of each block of `factor` x `factor` pixels that begins in it.
 *
 * @param {{top: number, left: number, height: number, width: number, rgb: Uint8Array}} tile in output pixels.
 * @param {number} factor 1 for no reduction.
 * @return {{top: number, left: number, image: ImageData} | null} where it stands in the reduced picture; null if no
 *     block begins in it.
 */
export function reducedTile({top, left, height, width, rgb}, factor) {
  const [firstRow, firstColumn] = [Math.ceil(top / factor), Math.ceil(left / factor)];
  const rows = Math.ceil((top + height) / factor) - firstRow;
  const columns = Math.ceil((left + width) / factor) - firstColumn;
  if (rows < 1 || columns < 1) {
    return null;
  }
  const image = new ImageData(columns, rows);
  for (let y = 0; y < rows; y++) {
    const y0 = (firstRow + y) * factor - top;
    const y1 = Math.min(y0 + factor, height);
    for (let x = 0; x < columns; x++) {
      const x0 = (firstColumn + x) * factor - left;
      const x1 = Math.min(x0 + factor, width);
      const to = (y * columns + x) * RGBA;
      for (let channel = 0; channel < CHANNELS; channel++) {
        let sum = 0;
        for (let v = y0; v < y1; v++) {
          for (let u = x0; u < x1; u++) {
            sum += rgb[(v * width + u) * CHANNELS + channel];
          }
        }
        image.data[to + channel] = Math.round(sum / ((y1 - y0) * (x1 - x0)));
      }
      image.data[to + 3] = 255;
    }
  }
  return {top: firstRow, left: firstColumn, image};
}
