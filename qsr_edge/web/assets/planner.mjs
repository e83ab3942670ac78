// How a picture is cut into tiles whose seams do not exist. The same plan as qsr_edge/runtime/tiler.py makes, and the
// Kotlin and Swift libraries: tests/vectors/tiles.jsonl holds all of them to it.
//
// A tile reads a window, its core and a halo around it, and keeps the core of what comes out. All windows of a picture
// have one size and lie within the picture; the last one is moved inwards until it fits.

/** The next multiple of `grid`. */
export function paddedSize(size, grid) {
  return Math.ceil(size / grid) * grid;
}

/**
 * The smallest window for as many tiles as cores of `tile` take, along one axis.
 *
 * @param {number} size length of the axis, at least 1.
 * @param {{tile: number, halo: number, grid?: number}} options in input pixels: the longest step from one core to the
 *     next; the receptive-field radius; windows begin and end at multiples of the grid.
 * @return {number}
 */
export function windowSize(size, {tile, halo, grid = 1}) {
  if (size < 1 || tile < 1 || halo < 0) {
    throw new Error(`cannot tile ${size} px into tiles of ${tile} px with a halo of ${halo} px`);
  }
  const completed = paddedSize(size, grid);
  const stepped = completed - 2 * halo;
  if (stepped <= tile) {
    return completed;
  }
  const count = Math.ceil(stepped / tile);
  return paddedSize(Math.ceil(stepped / count) + 2 * halo, grid);
}

/**
 * Spans whose cores partition an axis and whose windows are all of one size.
 *
 * @param {number} size length of the axis.
 * @param {{window: number, halo: number, grid?: number}} options
 * @return {Array<{window: [number, number], core: [number, number]}>} half-open intervals.
 */
export function planSpans(size, {window, halo, grid = 1}) {
  const completed = paddedSize(size, grid);
  if (completed === window) {
    return [{window: [0, window], core: [0, size]}];
  }
  const step = window - 2 * halo;
  if (completed < window || step < 1 || halo < 0 || window % grid || step % grid) {
    throw new Error(`cannot cover ${size} px by windows of ${window} px and a halo of ${halo} px`);
  }
  const count = Math.ceil((completed - 2 * halo) / step);
  const spans = [];
  let done = 0;
  for (let index = 0; index < count; index++) {
    const start = Math.min(index * step, completed - window);
    const stop = start + window;
    const end = index === count - 1 ? size : stop - halo;
    spans.push({window: [start, stop], core: [done, end]});
    done = end;
  }
  return spans;
}

/**
 * All tiles of a picture.
 *
 * @param {{height: number, width: number, tile: number, halo: number, grid?: number}} picture
 * @return {{window: [number, number], rows: Array, columns: Array}} height and width of every window, and the spans.
 */
export function planTiles({height, width, tile, halo, grid = 1}) {
  const window = [height, width].map((size) => windowSize(size, {tile, halo, grid}));
  const [rows, columns] = [height, width].map((size, axis) => planSpans(size, {window: window[axis], halo, grid}));
  return {window, rows, columns};
}

/** Where row `index` comes from when `size` rows are continued by reflection at the last one. */
export function reflected(index, size) {
  const period = Math.max(1, 2 * (size - 1));
  const position = index % period;
  return size > 1 ? Math.min(position, period - position) : 0;
}
