// What runs beside the page: pictures through the network, and the proof. One job after the other.
//
// The page sends {kind: 'start', threads}, then {kind: 'upscale', job, file, depth}, {kind: 'cancel', job} or
// {kind: 'prove', job}. What comes back has a kind, too; see `post` below.

import {goldenImage} from './golden.mjs';
import {fetchModel, sizedModel} from './models.mjs';
import {capabilities, load, loadedBuild} from './network.mjs';
import {Picture, reducedTile} from './picture.mjs';
import {PngWriter} from './png.mjs';
import {sha256} from './sha256.mjs';
import {CancelledError, upscaleTiled} from './upscale.mjs';

const BASE = new URL('.', import.meta.url);
/** Of what is shown on the page: 4 bytes a pixel, and less than any browser's largest canvas. */
const SHOWN_PIXELS = 1 << 23;

const post = (message, transfer = []) => self.postMessage(message, transfer);

let site;
let threads = 1;
let opened; // {depth, height, width, network}
const files = new Map();
const cancelled = new Set();

let queue = Promise.resolve();
self.onmessage = ({data}) => {
  if (data.kind === 'cancel') {
    cancelled.add(data.job);
  } else {
    queue = queue.then(() => obey(data));
  }
};

async function obey(data) {
  try {
    switch (data.kind) {
      case 'start':
        threads = data.threads;
        site = await fetchSite();
        post({kind: 'ready', can: await capabilities()});
        break;
      case 'upscale':
        await upscale(data);
        break;
      case 'prove':
        await prove(data.job);
        break;
      default:
        throw new Error(`the worker does not know ${data.kind}`);
    }
  } catch (error) {
    const kind = error instanceof CancelledError ? 'cancelled' : 'failed';
    post({kind, job: data.job, message: error.message || String(error)});
  }
}

async function fetchSite() {
  const response = await fetch(new URL('site.json', BASE));
  if (!response.ok) {
    throw new Error(`site.json: the server answered ${response.status}; is the site complete?`);
  }
  return response.json();
}

const modelOf = (depth) => {
  const entry = site.models.find((model) => model.depth === depth);
  if (!entry) {
    throw new Error(`depth ${depth} is not in this site; choose another`);
  }
  return entry;
};

/** The network of a depth for windows of a size; the one that was used last is kept. */
async function networkFor(depth, height, width) {
  if (opened && opened.depth === depth && opened.height === height && opened.width === width) {
    return opened.network;
  }
  opened?.network.close();
  opened = undefined;
  const entry = modelOf(depth);
  if (!files.has(depth)) {
    files.set(depth, await fetchModel(entry, BASE));
  }
  const network = await load(sizedModel(files.get(depth), entry.places, height, width), {threads});
  opened = {depth, height, width, network};
  return network;
}

/** Messages that came meanwhile are taken, and the next task begins after them. */
function takeMessages() {
  return new Promise((resolve) => {
    const {port1, port2} = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

async function upscale({job, file, depth}) {
  const entry = modelOf(depth);
  const {scale} = site;
  const picture = await Picture.decode(file);
  const {height, width} = picture;
  const reduction = Math.ceil(Math.sqrt((height * width * scale * scale) / SHOWN_PIXELS));
  post({kind: 'decoded', job, height, width, grey: picture.grey, reduction});
  const png = new PngWriter(width * scale, height * scale);
  const began = performance.now();
  const networkMs = [];
  let plan;
  try {
    await upscaleTiled(picture, {
      tile: site.tile_px,
      halo: entry.halo_px,
      grid: entry.grid_px,
      scale,
      open: (windowHeight, windowWidth) => networkFor(depth, windowHeight, windowWidth),
      cancelled: () => cancelled.has(job),
      onPlan: (made) => {
        plan = made;
        post({kind: 'planned', job, tiles: made.tiles});
      },
      onTile: async (tile) => {
        networkMs.push(tile.ms);
        const shown = reducedTile(tile, reduction);
        const message = {kind: 'tile', job, done: tile.done, tiles: tile.tiles, ms: tile.ms, shown};
        post(message, shown ? [shown.image.data.buffer] : []);
        await takeMessages();
      },
      onRows: (rgb, rows) => png.write(rgb, rows),
    });
  } catch (error) {
    await png.abandon();
    throw error;
  }
  const blob = await png.finish();
  post({
    kind: 'done', job, png: blob, height: height * scale, width: width * scale, window: plan.window, networkMs,
    totalMs: performance.now() - began, build: loadedBuild(), threads,
  });
}

async function prove(job) {
  const {seed, height_px: height, width_px: width} = site.golden;
  const image = goldenImage(seed, height, width);
  for (const entry of site.models) {
    if (cancelled.has(job)) {
      throw new CancelledError('cancelled');
    }
    const network = await networkFor(entry.depth, height, width);
    const made = await network.run(image);
    const found = sha256(made);
    const expected = entry.golden_sha256;
    post({kind: 'proof', job, depth: entry.depth, bytes: made.length, found, expected, equal: found === expected});
    await takeMessages();
  }
  post({kind: 'proved', job, build: loadedBuild(), threads});
}
