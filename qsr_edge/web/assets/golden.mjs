// The golden input: an image that every device can make for itself. See qsr_edge/bundle/golden.py.

const INCREMENT = 0x9e3779b97f4a7c15n;
const FIRST_FACTOR = 0xbf58476d1ce4e5b9n;
const SECOND_FACTOR = 0x94d049bb133111ebn;
const MASK = (1n << 64n) - 1n;

/**
 * Noise from SplitMix64: byte n of the image is the top byte of the generator's number n.
 *
 * @param {number} seed 0 <= seed < 2^53.
 * @param {number} height rows.
 * @param {number} width columns.
 * @return {Uint8Array} (height, width, 3), R, G, B.
 */
export function goldenImage(seed, height, width) {
  const image = new Uint8Array(height * width * 3);
  let state = BigInt(seed);
  for (let n = 0; n < image.length; n++) {
    state = (state + INCREMENT) & MASK;
    let z = ((state ^ (state >> 30n)) * FIRST_FACTOR) & MASK;
    z = ((z ^ (z >> 27n)) * SECOND_FACTOR) & MASK;
    image[n] = Number((z ^ (z >> 31n)) >> 56n);
  }
  return image;
}
