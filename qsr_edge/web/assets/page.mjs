// The page: what was chosen, what the worker tells of it, and the picture before and after.

import {Divider} from './divider.mjs';

const $ = (id) => document.getElementById(id);
const MOST_THREADS = 4;
const formatted = (value, digits = 0) => value.toLocaleString('en', {maximumFractionDigits: digits});
const seconds = (ms) => (ms < 1000 ? `${formatted(ms)} ms` : `${formatted(ms / 1000, ms < 10000 ? 1 : 0)} s`);

const site = await (await fetch('site.json')).json();
const divider = new Divider($('stage'), $('pictures'), $('divider'), $('position'), $('zoom'));

/** What is under way: {kind: 'upscale' | 'prove', job}; null for nothing. */
let running = null;
let jobs = 0;
let worker = null;
let photo = null; // {file, name, url}
let png = null;
let isolatedThreads = false;

describeSite();
startWorker();

function describeSite() {
  $('bundle').textContent = `${site.name} · ${site.widths} · ×${site.scale}`;
  document.querySelectorAll('.scale').forEach((node) => (node.textContent = site.scale));
  $('made-by').textContent = `Made by ${site.made_by}`;
  $('runtime').textContent = `${site.runtime}`;
  $('card-link').hidden = !site.card;
  const deepest = site.models.at(-1);
  for (const model of site.models) {
    const label = document.createElement('label');
    label.className = 'choice';
    const input = document.createElement('input');
    Object.assign(input, {type: 'radio', name: 'depth', value: model.depth, checked: model === deepest});
    const words = document.createElement('span');
    words.textContent = `${model.depth} blocks`;
    const note = document.createElement('small');
    const share = model.macs_per_pixel / deepest.macs_per_pixel;
    const quality = Object.entries(model.psnr_db).map(([name, db]) => `${db.toFixed(2)} dB on ${name}`)[0];
    const work = model === deepest ? 'the most work' : `${formatted(100 * share)} % of the work`;
    note.textContent = quality ? `${work}, ${quality}` : work;
    words.append(note);
    label.append(input, words);
    $('depths').append(label);
  }
  const cores = Math.min(MOST_THREADS, navigator.hardwareConcurrency || 1);
  const counts = [...new Set([1, 2, cores])].filter((count) => count <= cores).sort((a, b) => a - b);
  for (const count of counts) {
    $('threads').append(new Option(String(count), String(count), count === cores, count === cores));
  }
}

/** A worker keeps the build of LiteRT.js that it began with: other threads, another worker. */
function startWorker() {
  worker?.terminate();
  running = null;
  worker = new Worker('worker.js');
  worker.onmessage = ({data}) => take(data);
  worker.onerror = (event) => fail(event.message || 'the worker stopped; reload the page');
  const threads = self.crossOriginIsolated ? Number($('threads').value) : 1;
  worker.postMessage({kind: 'start', threads});
  showState();
}

function take(message) {
  if (message.job !== undefined && message.job !== running?.job) {
    return; // of a job that was given up
  }
  switch (message.kind) {
    case 'ready':
      isolatedThreads = message.can.threads;
      describeThreads(message.can);
      break;
    case 'decoded':
      showFrame(message);
      break;
    case 'planned':
      setProgress(0, message.tiles);
      $('status').textContent = `Upscaling in ${message.tiles === 1 ? 'one tile' : `${message.tiles} tiles`} …`;
      break;
    case 'tile':
      showTile(message);
      break;
    case 'done':
      showDone(message);
      break;
    case 'proof':
      showProof(message);
      break;
    case 'proved':
      showProved(message);
      break;
    case 'cancelled':
      finish();
      $('status').textContent = 'Cancelled.';
      break;
    case 'failed':
      fail(message.message);
      break;
  }
}

function describeThreads({isolated, threads, relaxedSimd}) {
  $('threads').disabled = !threads;
  if (!threads) {
    $('threads').replaceChildren(new Option('1', '1', true, true));
  }
  $('threads-hint').textContent = threads
    ? 'More are faster, and make the device warmer.'
    : isolated && !relaxedSimd
      ? 'One: this browser lacks relaxed SIMD, which LiteRT.js needs for more.'
      : 'One: the page is not isolated. More need https (or this machine’s own address) and two headers from the server.';
}

function showState() {
  $('upscale').disabled = running !== null || photo === null;
  $('prove').disabled = running !== null;
  $('cancel').disabled = running === null;
  $('threads').disabled = running !== null || !isolatedThreads;
  $('progress').hidden = running?.kind !== 'upscale';
  document.querySelectorAll('input[name=depth]').forEach((input) => (input.disabled = running !== null));
}

function begin(kind) {
  jobs += 1;
  running = {kind, job: jobs};
  $('error').textContent = '';
  showState();
  return running.job;
}

function finish() {
  running = null;
  $('tiles').textContent = '';
  showState();
}

function fail(words) {
  finish();
  $('status').textContent = '';
  $('proof-status').textContent = '';
  $('error').textContent = words;
}

// The photo

function choose(file, name) {
  if (photo) {
    URL.revokeObjectURL(photo.url);
  }
  photo = {file, name, url: URL.createObjectURL(file)};
  $('photo-name').textContent = name;
  $('thumbnail').src = photo.url;
  $('thumbnail').alt = `The chosen photo, ${name}`;
  $('thumbnail').hidden = false;
  $('error').textContent = '';
  $('status').textContent = '';
  showState();
}

$('file').addEventListener('change', () => {
  const [file] = $('file').files;
  if (file) {
    choose(file, file.name);
  }
});
$('sample').addEventListener('click', async () => {
  const response = await fetch(site.sample);
  choose(await response.blob(), 'the photo that comes with this page');
});
for (const type of ['dragenter', 'dragover']) {
  $('drop').addEventListener(type, (event) => {
    event.preventDefault();
    $('drop').classList.add('over');
  });
}
for (const type of ['dragleave', 'drop']) {
  $('drop').addEventListener(type, () => $('drop').classList.remove('over'));
}
// A photo that misses its place must not replace the page.
for (const type of ['dragover', 'drop']) {
  document.addEventListener(type, (event) => event.preventDefault());
}
$('drop').addEventListener('drop', (event) => {
  event.preventDefault();
  const [file] = event.dataTransfer.files;
  if (file) {
    choose(file, file.name);
  }
});
if (matchMedia('(pointer: coarse)').matches) {
  $('drop-hint').hidden = true;
}

// Upscaling

$('upscale').addEventListener('click', () => {
  const depth = Number(document.querySelector('input[name=depth]:checked').value);
  $('status').textContent = 'Loading the network …';
  $('progress').removeAttribute('value');
  worker.postMessage({kind: 'upscale', job: begin('upscale'), file: photo.file, depth});
});
$('cancel').addEventListener('click', () => {
  if (running) {
    worker.postMessage({kind: 'cancel', job: running.job});
    $('status').textContent = 'Cancelling …';
  }
});
$('threads').addEventListener('change', startWorker);

function showFrame({height, width, grey, reduction}) {
  const [shownHeight, shownWidth] = [height, width].map((side) => Math.ceil((side * site.scale) / reduction));
  Object.assign($('after'), {width: shownWidth, height: shownHeight});
  $('before').src = photo.url;
  $('before').alt = `Before: ${photo.name}, enlarged by the browser`;
  $('after').setAttribute('aria-label', `After: ${photo.name}, upscaled by the network`);
  divider.show(shownWidth, shownHeight);
  const notes = [];
  if (reduction > 1) {
    notes.push(`Shown reduced ${reduction} times; the PNG has every pixel.`);
  }
  if (grey) {
    notes.push('Every pixel of the photo is grey, and so is what is made of it.');
  }
  $('shown-hint').textContent = notes.join(' ');
  $('download').hidden = true;
  $('facts').replaceChildren();
  $('result').hidden = false;
}

function setProgress(done, tiles) {
  Object.assign($('progress'), {max: tiles, value: done});
}

function showTile({done, tiles, ms, shown}) {
  if (shown) {
    $('after').getContext('2d').putImageData(shown.image, shown.left, shown.top);
  }
  setProgress(done, tiles);
  // Not in the status, which screen readers read out whenever it changes; they ask the bar.
  $('tiles').textContent = `${done} of ${tiles} tiles, ${seconds(ms)} for the last one`;
}

function showDone({png: blob, height, width, window, networkMs, totalMs, build, threads}) {
  finish();
  if (png) {
    URL.revokeObjectURL(png);
  }
  png = URL.createObjectURL(blob);
  const link = $('download');
  link.href = png;
  link.download = `${photo.name.replace(/\.[^.]*$/, '') || 'photo'}_x${site.scale}.png`.replaceAll(' ', '-');
  link.hidden = false;
  $('status').textContent = `Done: ${width}×${height} in ${seconds(totalMs)}.`;
  const sorted = networkMs.toSorted((a, b) => a - b);
  const network = networkMs.reduce((sum, ms) => sum + ms, 0);
  const megapixels = (width * height) / site.scale ** 2 / 1e6;
  const facts = [
    ['Time, PNG included', seconds(totalMs)],
    ['Network, per megapixel of the photo', seconds(network / megapixels)],
    ['Tiles', `${networkMs.length} of ${window[1]}×${window[0]}`],
    ['A tile, median', seconds(sorted[Math.floor(sorted.length / 2)])],
    ['PNG', `${formatted(blob.size / 1e6, 1)} MB`],
    ['LiteRT.js', `${build} build, ${threads === 1 ? 'one thread' : `${threads} threads`}`],
  ];
  $('facts').replaceChildren(
    ...facts.map(([name, value]) => {
      const pair = document.createElement('div');
      const term = Object.assign(document.createElement('dt'), {textContent: name});
      const words = Object.assign(document.createElement('dd'), {textContent: value});
      pair.append(term, words);
      return pair;
    }),
  );
  performance.mark('first-picture');
}

// The proof

$('prove').addEventListener('click', () => {
  $('proof-rows').replaceChildren();
  $('proof').hidden = true;
  $('proof-status').textContent = 'Loading the network …';
  worker.postMessage({kind: 'prove', job: begin('prove')});
});

function showProof({depth, bytes, found, expected, equal}) {
  const row = document.createElement('tr');
  const head = Object.assign(document.createElement('th'), {scope: 'row', textContent: depth});
  const cells = [formatted(bytes), equal ? '✓ equal' : '✗ not equal', found, expected].map((text, index) => {
    const cell = document.createElement('td');
    if (index >= 2) {
      cell.append(Object.assign(document.createElement('code'), {textContent: text}));
    } else {
      cell.textContent = text;
    }
    return cell;
  });
  cells[1].className = equal ? 'equal' : 'unequal';
  row.append(head, ...cells);
  $('proof-rows').append(row);
  $('proof').hidden = false;
}

function showProved({build, threads}) {
  finish();
  const results = [...$('proof-rows').querySelectorAll('.equal, .unequal')];
  const equal = results.filter((cell) => cell.className === 'equal').length;
  const how = `${build} build of LiteRT.js, ${threads === 1 ? 'one thread' : `${threads} threads`}`;
  $('proof-status').textContent =
    equal === results.length
      ? `Equal at every depth: this browser computes the reference’s bytes (${how}).`
      : `${results.length - equal} of ${results.length} depths differ: this browser does not compute the reference’s bytes (${how}). Please report this.`;
}
