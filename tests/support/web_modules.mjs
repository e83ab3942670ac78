// Runs the page's modules in Node on what the tests send: a JSON object on standard input, one on standard output.

import {readFileSync} from 'node:fs';
import {pathToFileURL} from 'node:url';

const job = JSON.parse(readFileSync(0, 'utf8'));
const module = (name) => import(pathToFileURL(`${job.assets}/${name}.mjs`).href);
const bytes = (text) => new Uint8Array(Buffer.from(text, 'base64'));
const text = (array) => Buffer.from(array).toString('base64');

/** The network of tests/vectors/make.py, with its zero padding, receptive field of a pixel and tint. */
function sharpener(scale) {
  return (image, height, width) => {
    const made = new Uint8Array(height * scale * width * scale * 3);
    const at = (y, x, c) => (y < 0 || x < 0 || y >= height || x >= width ? 0 : image[(y * width + x) * 3 + c]);
    for (let y = 0; y < height * scale; y++) {
      for (let x = 0; x < width * scale; x++) {
        for (let c = 0; c < 3; c++) {
          const [v, u] = [Math.floor(y / scale), Math.floor(x / scale)];
          const level = at(v, u, c);
          const detail = 4 * level - at(v - 1, u, c) - at(v + 1, u, c) - at(v, u - 1, c) - at(v, u + 1, c);
          const share = 1 + (((y % scale) * scale + (x % scale) + c) % 3);
          const value = level + ((detail * share) >> 4) + c - 1;
          made[(y * width * scale + x) * 3 + c] = Math.min(255, Math.max(0, value));
        }
      }
    }
    return made;
  };
}

const tasks = {
  async plans() {
    const {windowSize, planSpans} = await module('planner');
    return job.cases.map(([size, tile, halo, grid]) => {
      const window = size.map((side) => windowSize(side, {tile, halo, grid}));
      const axes = size.map((side, axis) =>
        planSpans(side, {window: window[axis], halo, grid}).map((span) => [...span.window, ...span.core]),
      );
      return [size, tile, halo, grid, window, ...axes];
    });
  },
  async refusals() {
    const {windowSize, planSpans} = await module('planner');
    const told = (attempt) => {
      try {
        attempt();
        return null;
      } catch (error) {
        return error.message;
      }
    };
    return [
      told(() => windowSize(0, {tile: 1, halo: 0})),
      told(() => windowSize(5, {tile: 0, halo: 0})),
      told(() => planSpans(5, {window: 8, halo: 1})),
      told(() => planSpans(50, {window: 8, halo: 4})),
      told(() => planSpans(50, {window: 9, halo: 2, grid: 4})),
    ];
  },
  async upscaled() {
    const {upscaleTiled} = await module('upscale');
    const results = [];
    for (const {rgb, height, width, scale, halo, grid, tile, grey} of job.cases) {
      const image = bytes(rgb);
      const network = sharpener(scale);
      const parts = [];
      const tiles = [];
      const read = (top, left, rows, columns) => {
        const window = new Uint8Array(rows * columns * 3);
        for (let y = 0; y < rows; y++) {
          const from = ((top + y) * width + left) * 3;
          window.set(image.subarray(from, from + columns * 3), y * columns * 3);
        }
        return window;
      };
      await upscaleTiled({height, width, grey, read}, {
        tile, halo, grid, scale,
        open: async (rows, columns) => ({run: async (window) => network(window, rows, columns)}),
        onTile: (made) => tiles.push([made.top, made.left, made.height, made.width]),
        onRows: (rows) => parts.push(...rows),
      });
      const area = tiles.reduce((sum, [, , rows, columns]) => sum + rows * columns, 0);
      results.push({upscaled: text(parts), tiles: tiles.length, area});
    }
    return results;
  },
  async cancelled() {
    const {CancelledError, upscaleTiled} = await module('upscale');
    let runs = 0;
    try {
      await upscaleTiled({height: 9, width: 9, grey: false, read: (t, l, h, w) => new Uint8Array(h * w * 3)}, {
        tile: 3, halo: 0, grid: 1, scale: 2,
        open: async (h, w) => ({run: async () => ((runs += 1), new Uint8Array(4 * h * w * 3))}),
        onRows: () => {},
        cancelled: () => runs === 2,
      });
      return 'not cancelled';
    } catch (error) {
      return [error instanceof CancelledError, runs];
    }
  },
  async digests() {
    const {sha256} = await module('sha256');
    return job.cases.map((content) => sha256(bytes(content)));
  },
  async golden() {
    const {goldenImage} = await module('golden');
    return job.cases.map(([seed, height, width]) => text(goldenImage(seed, height, width)));
  },
  async png() {
    const {PngWriter} = await module('png');
    const {rgb, height, width, bands} = job;
    const writer = new PngWriter(width, height);
    let top = 0;
    for (const rows of bands) {
      await writer.write(bytes(rgb).subarray(top * width * 3, (top + rows) * width * 3), rows);
      top += rows;
    }
    return text(new Uint8Array(await (await writer.finish()).arrayBuffer()));
  },
  async sized() {
    const {sizedModel} = await module('models');
    return text(sizedModel(bytes(job.model), job.places, job.height, job.width));
  },
  async reduced() {
    globalThis.ImageData = class {
      constructor(width, height) {
        Object.assign(this, {width, height, data: new Uint8ClampedArray(width * height * 4)});
      }
    };
    const {reducedTile} = await module('picture');
    return job.tiles.map((tile) => {
      const shown = reducedTile({...tile, rgb: bytes(tile.rgb)}, job.factor);
      return shown && {top: shown.top, left: shown.left, width: shown.image.width, rgba: text(shown.image.data)};
    });
  },
};

process.stdout.write(JSON.stringify(await tasks[job.task]()));
