// LiteRT.js and one model of a fixed input size: bytes in, bytes out.
//
// Use it in a classic worker (`new Worker('worker.js')`) that imports it by `import()`: LiteRT.js loads its WebAssembly
// by `importScripts`, which module workers lack. On a page it works as well, but blocks it.
//
//   const network = await load(bytes, {threads: 4});
//   const upscaled = await network.run(rgb);      // (H, W, 3) -> (rH, rW, 3), both Uint8Array
//   network.close();
//
// The first `load` decides which build is used for the life of the worker: `threads: 1` the plain one, more the one
// with threads. Another build needs another worker.

import {Environment, Tensor, loadAndCompile, loadLiteRt, supportsFeature} from './litert/index.js';

const WASM_FOLDER = new URL('./litert/wasm/', import.meta.url).href;
const CHANNELS = 3;

/** Which build runs: told by `runtimeFacts`, and in records. */
export const Build = Object.freeze({COMPAT: 'compat', PLAIN: 'plain', THREADED: 'threaded'});

const KEPT_MESSAGES = 20;

let loading;
let build;
const messages = [];

/**
 * What this browser can do, as far as it tells.
 *
 * @return {Promise<{isolated: boolean, relaxedSimd: boolean, threads: boolean, cores: number}>} `threads`: whether more
 *     than one can be used: the page is isolated, and the browser has relaxed SIMD.
 */
export async function capabilities() {
  const isolated = self.crossOriginIsolated === true;
  const relaxedSimd = await supportsFeature('relaxedSimd');
  const threads = isolated && relaxedSimd && (await supportsFeature('threads'));
  return {isolated, relaxedSimd, threads, cores: navigator.hardwareConcurrency || 1};
}

/** The build that was loaded; undefined before the first `load`. */
export function loadedBuild() {
  return build;
}

/**
 * Load a model.
 *
 * @param {Uint8Array} bytes a .tflite file of a fixed input size (`sizedModel` of models.mjs); not changed.
 * @param {{threads?: number}} options threads: 1 unless `capabilities` says that more can be used.
 * @return {Promise<Network>}
 * @throws {Error} if the browser cannot, or LiteRT.js does not take the file.
 */
export async function load(bytes, {threads = 1} = {}) {
  await start(threads);
  try {
    const model = await loadAndCompile(bytes, {accelerator: 'wasm', cpuOptions: {numThreads: threads}});
    return new Network(model, threads);
  } catch (error) {
    throw new Error(`LiteRT.js cannot load the model: ${error.message ?? error}; ${lastMessages()}`);
  }
}

async function start(threads) {
  const wanted = threads > 1 ? Build.THREADED : (await supportsFeature('relaxedSimd')) ? Build.PLAIN : Build.COMPAT;
  if (loading && (build === Build.THREADED) !== (wanted === Build.THREADED)) {
    throw new Error(`LiteRT.js runs here in its ${build} build; start another worker for ${wanted}`);
  }
  if (!loading) {
    build = wanted;
    loading = startBuild(wanted).catch((error) => {
      loading = build = undefined;
      throw error;
    });
  }
  await loading;
}

async function startBuild(wanted) {
  // In a worker LiteRT.js would look for its files, and for the script of its threads, beside the worker's own script.
  // What it tells is told when something fails, not on the console of whoever uses the page.
  const keep = (message) => {
    messages.push(message);
    messages.splice(0, messages.length - KEPT_MESSAGES);
  };
  self.Module = {
    print: keep,
    printErr: keep,
    locateFile: (name) => WASM_FOLDER + name,
    mainScriptUrlOrBlob: `${WASM_FOLDER}litert_wasm_threaded_internal.js`,
  };
  // By default it takes hold of a GPU, which the CPU's kernels do not need.
  Environment.create = async () => new Environment({webGpuDevice: null});
  await loadLiteRt(WASM_FOLDER, {threads: wanted === Build.THREADED});
}

/** What LiteRT.js said last, on one line; some of it is about an error. */
export function lastMessages() {
  return messages.slice(-3).join(' | ') || 'it said nothing';
}

/** A loaded model, for one image at a time. */
export class Network {
  #model;
  #shape;

  constructor(model, threads) {
    this.#model = model;
    const [input] = model.getInputDetails();
    const [output] = model.getOutputDetails();
    this.#shape = Array.from(input.shape);
    /** Threads that it was loaded with. */
    this.threads = threads;
    /** Rows and columns of the input. */
    this.height = this.#shape[1];
    this.width = this.#shape[2];
    /** Upscaling factor. */
    this.scale = output.shape[1] / this.height;
  }

  /**
   * Upscale one image.
   *
   * @param {Uint8Array} rgb (height, width, 3): rows first, then columns, then R, G, B.
   * @return {Promise<Uint8Array>} (scale * height, scale * width, 3).
   */
  async run(rgb) {
    const expected = this.height * this.width * CHANNELS;
    if (!(rgb instanceof Uint8Array) || rgb.length !== expected) {
      throw new Error(`the model takes ${this.width}x${this.height} pixels of 3 bytes, got ${rgb?.length} bytes`);
    }
    const input = new Tensor(rgb, this.#shape);
    let outputs = [];
    try {
      outputs = await this.#model.run(input);
      return outputs[0].toTypedArray();
    } finally {
      input.delete();
      outputs.forEach((output) => output.delete());
    }
  }

  /** Let go of the model's memory; it cannot be run any more. */
  close() {
    this.#model.delete();
  }
}
