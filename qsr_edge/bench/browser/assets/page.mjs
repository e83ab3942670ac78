// The page of `qsr-edge bench --device browser`: it says that it is there, measures what it is asked to, and tells how
// it goes. What is measured is in bench-worker.mjs; what is sent, and when it counts as sent, in outbox.mjs.

import {OverError, Outbox, post} from './outbox.mjs';
import {told, watchCondition} from './told.mjs';

const AGENT = 'qsr-edge-browser-agent';
const RETRY_MS = 1000;

const page = Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, '0')).join('');
const status = document.getElementById('status');
const connection = document.getElementById('connection');
const list = document.getElementById('list');
const facts = document.getElementById('facts');

let condition = {};
let worker = null;
let lock = null;

/** A state of the page, for people and for tests. */
function show(state, text) {
  document.body.dataset.state = state;
  status.textContent = text;
}

function showConnection(isConnected, waiting) {
  connection.textContent = isConnected
    ? ''
    : `No connection to the program: measuring goes on, ${waiting} results wait here. Keep this page open.`;
  document.body.dataset.connected = String(isConnected);
}

function tellState() {
  worker?.postMessage({kind: 'state', hidden: document.hidden, condition});
}

document.addEventListener('visibilitychange', () => {
  tellState();
  if (!document.hidden && worker !== null) {
    keepAwake();
  }
});
// A page that is left says so; without it, a closed tab would look like a lost network.
addEventListener('pagehide', () => navigator.sendBeacon(`leave?${new URLSearchParams({page})}`));

/** Keep a phone's screen on, where the browser lets a page do so. */
async function keepAwake() {
  if (lock === null || lock.released) {
    lock = (await navigator.wakeLock?.request('screen').catch(() => null)) ?? null;
  }
}

function startWorker() {
  worker = new Worker('bench-worker.js');
  return worker;
}

function endWorker() {
  worker?.terminate();
  worker = null;
  lock?.release().catch(() => {});
  lock = null;
}

/** The next message of a kind; what fails in the worker fails here. */
function answerOf(asked, kind) {
  return new Promise((resolve, reject) => {
    asked.onmessage = ({data}) => {
      if (data.kind === kind) {
        resolve(data);
      } else if (data.kind === 'failed') {
        reject(new Error(data.message));
      }
    };
    asked.onerror = (event) => reject(new Error(event.message || 'the worker ended'));
  });
}

/** The same until there is an answer; a refusal comes through. */
async function persistently(ask) {
  for (;;) {
    try {
      const answer = await ask();
      showConnection(true, 0);
      return answer;
    } catch (error) {
      if (error instanceof OverError) {
        throw error;
      }
      connection.textContent = 'No connection to the program. If it has ended, this page can be closed.';
      document.body.dataset.connected = 'false';
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

async function main() {
  show('starting', 'Looking at this browser …');
  await watchCondition((now) => {
    condition = now;
    tellState();
  });
  const probe = startWorker();
  const answer = answerOf(probe, 'facts');
  probe.postMessage({kind: 'facts'});
  const known = await told(await answer, condition);
  endWorker();
  showFacts(known);
  await persistently(() => post('hello', {page}, JSON.stringify(known)));
  let part = 0;
  for (;;) {
    if (document.body.dataset.state !== 'over') {
      show('waiting', 'Waiting for work from the program …');
    }
    const next = await persistently(() => post('next', {page, part}));
    if (next.do === 'end') {
      show('ended', next.text);
      return;
    }
    if (next.do === 'measure') {
      part = next.job.part;
      await measurePart(next);
    }
  }
}

/** Measure one part; whatever comes in between, the program decides what is next. */
async function measurePart({job, bundles, runtime, version}) {
  show('measuring', `Measuring ${job.variants.length} variants …`);
  list.replaceChildren();
  let isDraining = false;
  const outbox = new Outbox({page, part: job.part}, (isConnected, waiting) => {
    showConnection(isConnected, waiting);
    if (isDraining && (waiting === 0 || !isConnected)) {
      isDraining = false;
      measuring.postMessage({kind: 'drained'});
    }
  });
  const measuring = startWorker();
  keepAwake();
  const fail = (message) => {
    const clocks = {time_ms: Date.now()};
    outbox.record({kind: 'error', message, ...clocks});
    outbox.record({kind: 'end', complete: false, reason: message, ...clocks});
    outbox.close();
    endWorker();
  };
  measuring.onerror = (event) => fail(`the worker ended: ${event.message || 'no reason is told; memory, perhaps'}`);
  measuring.onmessage = ({data}) => {
    switch (data.kind) {
      case 'record':
        outbox.record(data.record);
        showRecord(data.record);
        break;
      case 'output':
        outbox.output(data.name, data.bytes);
        break;
      case 'drain':
        isDraining = true;
        break;
      case 'done':
        outbox.close();
        break;
      case 'failed':
        fail(data.message);
        break;
    }
  };
  const agent = `${AGENT} ${version}`;
  measuring.postMessage({kind: 'measure', job, bundles, runtime, agent, hidden: document.hidden, condition});
  try {
    await outbox.send((reason) => measuring.postMessage({kind: 'stop', reason}));
    document.body.dataset.state = 'sent';
  } catch (error) {
    if (!(error instanceof OverError)) {
      throw error;
    }
    show('over', `The program takes no more of this part: ${error.message}.`);
  } finally {
    endWorker();
  }
}

function showFacts(known) {
  const rows = {
    Browser: known.brand || known.user_agent,
    System: known.system || 'as the browser says above',
    Cores: known.cores || 'not told',
    'Threads possible': known.isolated ? 'yes' : 'no: the page did not come from this machine, or by https',
    'Steps of the clock': `${known.timer_us} µs`,
    Power: power(known.condition),
  };
  for (const [name, value] of Object.entries(rows)) {
    const term = document.createElement('dt');
    const text = document.createElement('dd');
    term.textContent = name;
    text.textContent = value;
    facts.append(term, text);
  }
}

function power({battery_percent: percent, plugged_in: pluggedIn}) {
  if (pluggedIn === undefined) {
    return 'not told';
  }
  return `${percent === undefined ? '' : `${percent} %, `}${pluggedIn ? 'plugged in' : 'on battery'}`;
}

/** What a person wants to see of a record, a line for each variant. */
function showRecord(record) {
  document.body.dataset.records = String(1 + Number(document.body.dataset.records || 0));
  switch (record.kind) {
    case 'start':
      line(record.variant, record.golden_equal === false ? 'OTHER BYTES than the reference' : 'bytes as the reference');
      break;
    case 'steady':
    case 'sustained': {
      const sorted = [...record.latencies_us].sort((a, b) => a - b);
      line(record.variant, `${(sorted[Math.floor(sorted.length / 2)] / 1000).toFixed(2)} ms`);
      break;
    }
    case 'waiting':
      status.textContent = `Waiting: ${record.reason}`;
      break;
    case 'error':
      status.textContent = `Error: ${record.message}`;
      break;
    case 'end':
      if (record.complete) {
        status.textContent = 'Measured. Sending the rest …';
      }
      break;
  }
}

const lines = new Map();

function line(variant, text) {
  let entry = lines.get(variant);
  if (entry === undefined || !entry.isConnected) {
    entry = document.createElement('li');
    lines.set(variant, entry);
    list.append(entry);
  }
  entry.textContent = `${variant}: ${text}`;
}

main().catch((error) => {
  endWorker();
  show('failed', `${error instanceof OverError ? 'Not this page' : 'This browser cannot measure'}: ${error.message}.`);
});
