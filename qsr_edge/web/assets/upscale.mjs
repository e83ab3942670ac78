// A picture of any size through a network, tile by tile: every byte is that of the whole picture run at once.

import {planTiles, reflected} from './planner.mjs';

const CHANNELS = 3;
// BT.601 luma of full-range RGB times 2^16; the weights sum to 2^16, so grey stays as it is.
const LUMA = [19595, 38470, 7471];

/** Thrown when a signal says to stop. */
export class CancelledError extends Error {}

/**
 * Upscale a picture in tiles.
 *
 * @param {{height: number, width: number, grey: boolean, read: function(number, number, number, number): Uint8Array}}
 *     picture `read(top, left, height, width)` gives (height, width, 3) bytes of a rectangle within the picture. If all
 *     its pixels are grey, so are those of the output: the luma of what the network makes of them.
 * @param {{tile: number, halo: number, grid: number, scale: number,
 *     open: function(number, number): Promise<{run: function(Uint8Array): Promise<Uint8Array>}>,
 *     onPlan?: function({tiles: number, window: [number, number]}): void,
 *     onTile?: function({done: number, tiles: number, top: number, left: number, height: number, width: number,
 *         rgb: Uint8Array, ms: number}): (void | Promise<void>),
 *     onRows: function(Uint8Array, number): (void | Promise<void>),
 *     cancelled?: function(): boolean}} options `open(height, width)` gives the network for windows of that size;
 *     `onTile` gets the core of each tile in output pixels, and how long the network took; `onRows` the next rows of
 *     the output from top to bottom, (rows, r * width, 3), and how many they are.
 */
export async function upscaleTiled(picture, options) {
  const {height, width, grey, read} = picture;
  const {tile, halo, grid, scale, open, onPlan, onTile, onRows, cancelled} = options;
  const plan = planTiles({height, width, tile, halo, grid});
  const tiles = plan.rows.length * plan.columns.length;
  onPlan?.({tiles, window: plan.window});
  const network = await open(...plan.window);
  let done = 0;
  for (const row of plan.rows) {
    const band = new Uint8Array(span(row.core) * scale * width * scale * CHANNELS);
    for (const column of plan.columns) {
      if (cancelled?.()) {
        throw new CancelledError('cancelled');
      }
      const input = readWindow(read, row.window, column.window, height, width);
      const began = performance.now();
      const made = await network.run(input);
      const ms = performance.now() - began;
      const rgb = core(made, row, column, scale);
      if (grey) {
        toGrey(rgb);
      }
      const [cutHeight, cutWidth] = [span(row.core) * scale, span(column.core) * scale];
      paste(band, rgb, cutHeight, cutWidth, column.core[0] * scale, width * scale);
      done += 1;
      await onTile?.({
        done, tiles, rgb, ms,
        top: row.core[0] * scale, left: column.core[0] * scale, height: cutHeight, width: cutWidth,
      });
    }
    await onRows(band, span(row.core) * scale);
  }
}

const span = ([start, stop]) => stop - start;

/** What the network reads; beyond the picture, which only a grid leads to, it is continued by reflection. */
function readWindow(read, [top, bottom], [left, right], height, width) {
  const [shownBottom, shownRight] = [Math.min(bottom, height), Math.min(right, width)];
  if (shownBottom === bottom && shownRight === right) {
    return read(top, left, bottom - top, right - left);
  }
  const whole = read(0, 0, height, width);
  const window = new Uint8Array((bottom - top) * (right - left) * CHANNELS);
  let at = 0;
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      const from = (reflected(y, height) * width + reflected(x, width)) * CHANNELS;
      window.set(whole.subarray(from, from + CHANNELS), at);
      at += CHANNELS;
    }
  }
  return window;
}

/** The core of an upscaled window. */
function core(made, row, column, scale) {
  const rowBytes = span(column.window) * scale * CHANNELS;
  const cutBytes = span(column.core) * scale * CHANNELS;
  const first = (row.core[0] - row.window[0]) * scale;
  const offset = (column.core[0] - column.window[0]) * scale * CHANNELS;
  const rows = span(row.core) * scale;
  const rgb = new Uint8Array(rows * cutBytes);
  for (let y = 0; y < rows; y++) {
    const from = (first + y) * rowBytes + offset;
    rgb.set(made.subarray(from, from + cutBytes), y * cutBytes);
  }
  return rgb;
}

function paste(band, rgb, height, width, left, bandWidth) {
  const bytes = width * CHANNELS;
  for (let y = 0; y < height; y++) {
    band.set(rgb.subarray(y * bytes, (y + 1) * bytes), (y * bandWidth + left) * CHANNELS);
  }
}

/** Every pixel by its luma, rounded to the nearest level; in place. */
function toGrey(rgb) {
  for (let i = 0; i < rgb.length; i += CHANNELS) {
    const luma = (32768 + LUMA[0] * rgb[i] + LUMA[1] * rgb[i + 1] + LUMA[2] * rgb[i + 2]) >> 16;
    rgb[i] = rgb[i + 1] = rgb[i + 2] = luma;
  }
}
