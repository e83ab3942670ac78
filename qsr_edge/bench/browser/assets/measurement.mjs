// Measures a job as docs/device-protocol.md tells: gate, start, steady rounds in turns, sustained runs.
//
// It runs in a worker. What surrounds it is handed in, see `Surroundings`.

import {goldenImage} from './golden.mjs';
import {sizedModel} from './models.mjs';
import {sha256} from './sha256.mjs';
import {upscaleTiled} from './upscale.mjs';

const PROTOCOL = 1;
const WAITING_EVERY_MS = 5000;
const SUSTAINED_CHUNK_MS = 500;
const SUSTAINED_RECORD_MS = 5000;
const SUSTAINED_CONDITION_MS = 10000;
const TILE_PX = 192; // of a picture: LiteRT takes about 1.3 KB per pixel of a window, and phones end large pages

/**
 * @typedef {object} Surroundings
 * @property {string} agent name and version of the agent.
 * @property {string} runtime name and version of the runtime.
 * @property {(record: object) => void} append takes a record; it is sent in order.
 * @property {(name: string, bytes: Uint8Array) => void} output takes a picture; it is sent before its record.
 * @property {(path: string) => Promise<Uint8Array>} read a file of the job.
 * @property {(entry: object) => Promise<Uint8Array>} model a model's file, by its entry.
 * @property {(bytes: Uint8Array, threads: number) => Promise<object>} load a network, as network.mjs has it.
 * @property {() => string} build of the runtime that was loaded.
 * @property {() => object} condition what is known of the device's state now.
 * @property {() => string | null} stopReason why the part is to end now.
 * @property {() => boolean} isHidden whether the page is in the background.
 * @property {() => number} pauses how often it went there.
 * @property {(ms: number) => Promise<void>} sleep lets messages come in; 0 for those alone that are there.
 * @property {() => Promise<void>} drain until all that was handed on is sent, or the network is lost.
 */

class Stopped extends Error {}

/**
 * Measure one part; every record is handed on as it comes, the last one is `end`.
 *
 * @param {object} job as docs/device-protocol.md has it.
 * @param {Object<string, object>} bundles by the path that the job has: scale, golden input, models.
 * @param {Surroundings} around
 */
export async function measure(job, bundles, around) {
  const measurement = new Measurement(job, bundles, around);
  measurement.append('agent', {
    protocol: PROTOCOL,
    run: job.run,
    part: job.part,
    agent: around.agent,
    runtime: around.runtime,
  });
  let reason = null;
  try {
    if (job.protocol !== PROTOCOL) {
      throw new Error(`protocol ${job.protocol}, expected ${PROTOCOL}; load the page anew`);
    }
    await measurement.run();
  } catch (error) {
    reason = oneLine(error);
    if (!(error instanceof Stopped)) {
      const variant = measurement.variant === null ? {} : {variant: measurement.variant};
      measurement.append('error', {message: reason, ...variant});
    }
  } finally {
    measurement.close();
  }
  measurement.append('end', reason === null ? {complete: true} : {complete: false, reason});
}

/** An error in a line, as records have it. */
export function oneLine(error) {
  return String(error?.message || error).replace(/\s+/g, ' ').trim().slice(0, 2000);
}

/** A variant whose timed input's model is loaded. */
class Loaded {
  constructor(variant, network, input) {
    this.variant = variant;
    this.network = network;
    this.input = input;
    this.queries = variant.done.queries;
    this.steadyUs = variant.done.steady_us;
  }

  /** @return {Promise<number>} microseconds of one inference. */
  async infer() {
    const start = performance.now();
    await this.network.run(this.input);
    return us(start);
  }
}

class Measurement {
  #job;
  #bundles;
  #around;
  #began = performance.now();
  #loaded = new Map();
  #files = new Map();
  #pluggedIn;
  #isPastGate = false;

  /** Label of the variant at work; null for none. */
  variant = null;

  constructor(job, bundles, around) {
    this.#job = job;
    this.#bundles = bundles;
    this.#around = around;
  }

  append(kind, values) {
    const clocks = {time_ms: Date.now(), elapsed_ms: Math.round(performance.now() - this.#began)};
    this.#around.append({kind, ...clocks, ...values});
  }

  close() {
    this.#loaded.forEach((entry) => entry.network.close());
  }

  async run() {
    await this.#passGate();
    for (const variant of this.#job.variants) {
      const {queries, steady_us: steadyUs} = variant.done;
      if (!this.#isSteady(queries, steadyUs) || this.#imagesLeft(variant).length > 0 || this.#sustainedLeft(variant) > 0) {
        await this.#at(variant, () => this.#start(variant));
      }
    }
    await this.#steady();
    for (const variant of this.#job.variants) {
      if (this.#sustainedLeft(variant) > 0) {
        await this.#at(variant, () => this.#sustained(this.#loaded.get(variant.label)));
      }
    }
    this.#condition();
  }

  async #at(variant, work) {
    this.variant = variant.label;
    await work();
    this.variant = null;
  }

  #condition(variant) {
    const condition = this.#around.condition();
    const named = variant === undefined ? {} : {variant};
    this.append('condition', {source: 'agent', condition, ...named});
    const {plugged_in: pluggedIn} = condition;
    if (pluggedIn !== undefined && this.#pluggedIn !== undefined && pluggedIn !== this.#pluggedIn) {
      this.append('event', {event: 'power'});
    }
    this.#pluggedIn = pluggedIn ?? this.#pluggedIn;
  }

  /** A browser tells no heat; what it tells is whether the page is in the background, where it is slowed down. */
  async #passGate() {
    this.#condition();
    await this.#whileHidden();
    this.#isPastGate = true;
  }

  /** Let messages in; end if that is asked for, wait while the page is hidden. */
  async #breathe() {
    await this.#around.sleep(0);
    this.#checkStop();
    await this.#whileHidden();
  }

  #checkStop() {
    const reason = this.#around.stopReason();
    if (reason) {
      throw new Stopped(reason);
    }
  }

  async #whileHidden() {
    if (!this.#around.isHidden()) {
      return;
    }
    if (this.#isPastGate) {
      this.append('event', {event: 'paused'});
    }
    const limit = this.#job.gate?.max_wait_ms ?? Infinity;
    const began = performance.now();
    while (this.#around.isHidden()) {
      const left = limit - (performance.now() - began);
      if (left <= 0) {
        throw new Error(`the page was in the background for ${limit / 1000} s; show it, or wait longer with --cool-down`);
      }
      this.append('waiting', {reason: 'the page is in the background; show it'});
      await this.#around.sleep(Math.min(left, WAITING_EVERY_MS));
      this.#checkStop();
    }
    if (this.#isPastGate) {
      this.append('event', {event: 'resumed'});
    }
  }

  #isSteady(queries, steadyUs) {
    return queries >= this.#job.queries && steadyUs >= 1000 * this.#job.steady_ms;
  }

  #imagesLeft(variant) {
    return this.#job.images.filter((image) => !variant.done.images.includes(image.name));
  }

  #sustainedLeft(variant) {
    return this.#job.sustained_ms - variant.done.sustained_ms;
  }

  async #network(variant, height, width) {
    const bundle = this.#bundles[variant.bundle];
    const entry = bundle.models.find((model) => model.depth === variant.depth);
    if (!this.#files.has(entry.file)) {
      this.#files.set(entry.file, await this.#around.model(entry));
    }
    const bytes = sizedModel(this.#files.get(entry.file), entry.places, height, width);
    const start = performance.now();
    const network = await this.#around.load(bytes, variant.threads);
    return {network, loadUs: us(start), entry, bundle};
  }

  async #start(variant) {
    await this.#breathe();
    const {golden} = this.#bundles[variant.bundle];
    // Before the load that counts, so that the runtime itself is there: its start is the page's, not the model's.
    const checked = await this.#network(variant, golden.height_px, golden.width_px);
    const noise = goldenImage(golden.seed, golden.height_px, golden.width_px);
    const found = variant.check_golden ? sha256(await checked.network.run(noise)) : null;
    checked.network.close();
    await this.#breathe();

    const timed = await this.#network(variant, variant.height_px, variant.width_px);
    const input = goldenImage(golden.seed, variant.height_px, variant.width_px);
    const entry = new Loaded(variant, timed.network, input);
    this.#loaded.set(variant.label, entry);
    this.append('start', {
      variant: variant.label,
      load_us: timed.loadUs,
      first_us: await entry.infer(),
      golden_equal: found === null ? null : found === timed.entry.golden_sha256,
      golden_sha256: found,
      runtime: `${this.#around.runtime}, ${this.#around.build()} build`,
    });
    await this.#breathe();
    if (this.#job.warm_up_ms > 0) {
      const latencies = await this.#turn(entry, this.#job.warm_up_ms);
      this.append('warm-up', {variant: variant.label, latencies_us: latencies});
    }
    for (const image of this.#imagesLeft(variant)) {
      await this.#breathe();
      await this.#image(variant, image);
    }
  }

  async #image(variant, image) {
    const rgb = await this.#around.read(image.path);
    const {height_px: height, width_px: width} = image;
    if (rgb.length !== 3 * height * width) {
      throw new Error(`${image.path}: ${rgb.length} bytes, expected ${3 * height * width}; load the page anew`);
    }
    const {scale, models} = this.#bundles[variant.bundle];
    const {halo_px: halo, grid_px: grid} = models.find((model) => model.depth === variant.depth);
    const upscaled = new Uint8Array(rgb.length * scale * scale);
    let network;
    let filled = 0;
    let start;
    const open = async (...size) => {
      ({network} = await this.#network(variant, ...size));
      start = performance.now(); // loading is another figure
      return network;
    };
    const onRows = (rows) => {
      upscaled.set(rows, filled);
      filled += rows.length;
    };
    const picture = {height, width, grey: false, read: (...rectangle) => cut(rgb, width, ...rectangle)};
    await upscaleTiled(picture, {tile: TILE_PX, halo, grid, scale, open, onRows});
    const latencyUs = us(start);
    network.close();
    const output = `${this.#job.variants.indexOf(variant)}-${image.name}.rgb`;
    const digest = sha256(upscaled);
    this.#around.output(output, upscaled);
    this.append('image', {variant: variant.label, image: image.name, sha256: digest, output, latency_us: latencyUs});
    // The program judges the picture, on this very machine perhaps: nothing is to be measured meanwhile.
    await this.#around.drain();
  }

  /** Latencies of inferences until they sum up to so much; at least one. */
  async #turn(entry, ms) {
    const latencies = [];
    let sum = 0;
    do {
      const latency = await entry.infer();
      latencies.push(latency);
      sum += latency;
    } while (sum < 1000 * ms);
    return latencies;
  }

  /** A turn that nothing came between: one in which the page was hidden, or the phone asleep, is taken anew. */
  async #undisturbedTurn(entry, ms) {
    for (;;) {
      const before = this.#around.pauses();
      const latencies = await this.#turn(entry, ms);
      await this.#breathe();
      if (this.#around.pauses() === before) {
        return latencies;
      }
    }
  }

  async #steady() {
    let waiting = [...this.#loaded.values()].filter((entry) => !this.#isSteady(entry.queries, entry.steadyUs));
    while (waiting.length > 0) {
      this.#condition();
      for (const entry of waiting) {
        await this.#at(entry.variant, async () => {
          const latencies = await this.#undisturbedTurn(entry, this.#job.round_ms);
          this.append('steady', {variant: entry.variant.label, latencies_us: latencies});
          entry.queries += latencies.length;
          entry.steadyUs += latencies.reduce((sum, latency) => sum + latency, 0);
        });
      }
      waiting = waiting.filter((entry) => !this.#isSteady(entry.queries, entry.steadyUs));
    }
  }

  async #sustained(entry) {
    const {label, done} = entry.variant;
    await this.#breathe();
    this.#condition(label);
    let told = performance.now();
    let since = done.sustained_ms;
    let recorded = since;
    let latencies = [];
    while (since < this.#job.sustained_ms) {
      const began = performance.now();
      const pauses = this.#around.pauses();
      const chunk = await this.#turn(entry, Math.min(SUSTAINED_CHUNK_MS, this.#job.sustained_ms - since));
      const took = performance.now() - began;
      await this.#breathe();
      if (this.#around.pauses() !== pauses) {
        continue; // it was no time without a pause
      }
      latencies.push(...chunk);
      since += took;
      if (since - recorded >= SUSTAINED_RECORD_MS || since >= this.#job.sustained_ms) {
        this.append('sustained', {variant: label, since_ms: Math.round(since), latencies_us: latencies});
        latencies = [];
        recorded = since;
      }
      if (performance.now() - told >= SUSTAINED_CONDITION_MS) {
        this.#condition(label);
        told = performance.now();
      }
    }
    this.#condition(label);
  }
}

/** A rectangle of a picture of so many columns. */
function cut(rgb, columns, top, left, height, width) {
  const rectangle = new Uint8Array(3 * height * width);
  for (let row = 0; row < height; row++) {
    const from = 3 * ((top + row) * columns + left);
    rectangle.set(rgb.subarray(from, from + 3 * width), 3 * row * width);
  }
  return rectangle;
}

function us(start) {
  return Math.round(1000 * (performance.now() - start));
}
