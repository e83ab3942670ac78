// The models of a site: fetched, checked against their sha256, and set to an input size.

import {sha256} from './sha256.mjs';

/**
 * The bytes of a model for images of another size.
 *
 * A model file states the size of every activation; `places` says where, as [offset of the height, factor]. The width
 * stands 4 bytes further. Both are little-endian int32.
 *
 * @param {Uint8Array} bytes the file; not changed.
 * @param {Array<[number, number]>} places as in site.json.
 * @param {number} height rows of the input, at least 1.
 * @param {number} width columns of the input, at least 1.
 * @return {Uint8Array} a copy for (height, width).
 */
export function sizedModel(bytes, places, height, width) {
  if (!(Number.isInteger(height) && Number.isInteger(width) && height >= 1 && width >= 1)) {
    throw new Error(`the input size is ${width}x${height}, expected at least 1 pixel a side`);
  }
  const sized = bytes.slice();
  const view = new DataView(sized.buffer);
  for (const [offset, factor] of places) {
    view.setInt32(offset, height * factor, true);
    view.setInt32(offset + 4, width * factor, true);
  }
  return sized;
}

/**
 * Fetch a model and see that it is the one that the site was made with.
 *
 * @param {{file: string, sha256: string}} entry of site.json.
 * @param {string | URL} base address of the site.
 * @return {Promise<Uint8Array>}
 */
export async function fetchModel(entry, base) {
  const response = await fetch(new URL(entry.file, base));
  if (!response.ok) {
    throw new Error(`${entry.file}: the server answered ${response.status}; is the site complete?`);
  }
  const bytes = new Uint8Array(await response.arrayBuffer());
  const found = sha256(bytes);
  if (found !== entry.sha256) {
    throw new Error(`${entry.file}: sha256 is ${found}, expected ${entry.sha256}: damaged or replaced; reload the page`);
  }
  return bytes;
}
