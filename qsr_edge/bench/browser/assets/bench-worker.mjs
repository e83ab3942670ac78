// The worker that measures: what the page tells it, what it hands to the page.
//
// To the worker: {kind: 'facts'}; {kind: 'measure', ...}; {kind: 'state', hidden, condition}; {kind: 'stop', reason};
// {kind: 'drained'}. From it: {kind: 'facts', ...}; {kind: 'record', record}; {kind: 'output', name, bytes};
// {kind: 'drain'}, which is answered when all is sent; {kind: 'done'}; {kind: 'failed', message}.

import {measure, oneLine} from './measurement.mjs';
import {fetchModel} from './models.mjs';
import {capabilities, load, loadedBuild} from './network.mjs';

const state = {hidden: false, condition: {}, pauses: 0, stopReason: null};
let wake = () => {};
let drained = () => {};

self.onmessage = async ({data}) => {
  switch (data.kind) {
    case 'facts':
      self.postMessage({kind: 'facts', ...(await capabilities()), timerUs: timerStepUs()});
      break;
    case 'state':
      setState(data);
      wake();
      break;
    case 'stop':
      state.stopReason = data.reason;
      wake();
      break;
    case 'drained':
      drained();
      break;
    case 'measure':
      setState(data);
      try {
        await measure(data.job, data.bundles, surroundings(data));
        self.postMessage({kind: 'done'});
      } catch (error) {
        self.postMessage({kind: 'failed', message: oneLine(error)});
      }
      break;
  }
};

function setState({hidden, condition}) {
  if (hidden && !state.hidden) {
    state.pauses++;
  }
  state.hidden = hidden;
  state.condition = condition;
}

function surroundings({agent, runtime}) {
  return {
    agent,
    runtime,
    append: (record) => self.postMessage({kind: 'record', record}),
    output: (name, bytes) => self.postMessage({kind: 'output', name, bytes}, [bytes.buffer]),
    read,
    model: (entry) => fetchModel(entry, self.location.href),
    load: loadWith,
    build: loadedBuild,
    condition: () => state.condition,
    stopReason: () => state.stopReason,
    isHidden: () => state.hidden,
    pauses: () => state.pauses,
    sleep,
    drain,
  };
}

async function read(path) {
  const response = await fetch(`file?${new URLSearchParams({name: path})}`);
  if (!response.ok) {
    throw new Error(`${path}: the server answered ${response.status}; load the page anew`);
  }
  return new Uint8Array(await response.arrayBuffer());
}

async function loadWith(bytes, threads) {
  if (threads > 1) {
    const can = await capabilities();
    if (!can.threads) {
      const why = can.isolated
        ? 'this browser lacks relaxed SIMD, which the build with threads needs'
        : 'this page is not isolated, as it came by http from another machine';
      throw new Error(`${threads} threads are asked for, and ${why}; measure with --threads 1`);
    }
  }
  return load(bytes, {threads});
}

/** Sleep, but not longer than until a message comes; with 0 ms those that are there come in. */
function sleep(ms) {
  return new Promise((resolve) => {
    if (ms > 0) {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    } else {
      // A timer would wait for 4 ms, and a worker in the background for more.
      const {port1, port2} = new MessageChannel();
      port1.onmessage = () => {
        port1.close();
        resolve();
      };
      port2.postMessage(null);
    }
  });
}

/** Until all is sent, or the network is lost. */
function drain() {
  return new Promise((resolve) => {
    drained = resolve;
    self.postMessage({kind: 'drain'});
  });
}

/** The smallest step of the clock that latencies are taken with, in microseconds; at least 1. */
function timerStepUs() {
  let least = Infinity;
  for (let i = 0; i < 20; i++) {
    const before = performance.now();
    let after;
    do {
      after = performance.now();
    } while (after === before);
    least = Math.min(least, after - before);
  }
  return Math.max(1, Math.round(1000 * least));
}
