// What was measured and is not yet known to be on the other side's disk: sent in order, and again until it is.

const MOST_BYTES = 1 << 20; // of records in one request
const THERE_EVERY_MS = 5000; // the other side hears of the page so often, even if there is nothing to send
const ANSWER_MS = 90000;
const RETRY_MS = [250, 500, 1000, 2000, 4000]; // the last one again and again

/** The other side takes nothing more of this part. */
export class OverError extends Error {}

/**
 * POST to the program that serves this page.
 *
 * @param {string} name of what is asked.
 * @param {Object<string, string | number>} query
 * @param {BodyInit} body
 * @return {Promise<object>} the answer's table.
 * @throws {OverError} if it was refused; {@link TypeError} or another error if there was no answer.
 */
export async function post(name, query, body = '') {
  const response = await fetch(`${name}?${new URLSearchParams(query)}`, {
    method: 'POST',
    body,
    signal: AbortSignal.timeout(ANSWER_MS),
  });
  if (response.status >= 500) {
    throw new Error(`the program answered ${response.status}`);
  }
  const table = await response.json().catch(() => ({}));
  if (!response.ok) {
    throw new OverError(table.why || `the program answered ${response.status}`);
  }
  return table;
}

/** Records and pictures of one part, in their order. */
export class Outbox {
  #query;
  #entries = [];
  #sent = 0;
  #wake = () => {};
  #isClosed = false;
  #onState;

  /**
   * @param {{page: string, part: number}} query that names the part.
   * @param {(isConnected: boolean, waiting: number) => void} onState told of every success and failure.
   */
  constructor(query, onState) {
    this.#query = query;
    this.#onState = onState;
  }

  /** @param {object} record */
  record(record) {
    this.#add({line: `${JSON.stringify(record)}\n`});
  }

  /**
   * @param {string} name
   * @param {Uint8Array} bytes
   */
  output(name, bytes) {
    this.#add({name, bytes});
  }

  /** Nothing more is to come. */
  close() {
    this.#isClosed = true;
    this.#wake();
  }

  #add(entry) {
    this.#entries.push(entry);
    this.#wake();
  }

  /**
   * Send until all is sent and the outbox is closed, or the other side takes no more.
   *
   * @param {(reason: string) => void} onStop told when the other side asks for an end of the part.
   * @throws {OverError}
   */
  async send(onStop) {
    let failures = 0;
    while (this.#entries.length > 0 || !this.#isClosed) {
      try {
        await this.#sendNext(onStop);
        failures = 0;
        this.#onState(true, this.#entries.length);
      } catch (error) {
        if (error instanceof OverError) {
          throw error;
        }
        this.#onState(false, this.#entries.length);
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS[Math.min(failures, RETRY_MS.length - 1)]));
        failures++;
      }
      if (this.#entries.length === 0 && !this.#isClosed) {
        await this.#untilWoken();
      }
    }
  }

  async #sendNext(onStop) {
    const [first] = this.#entries;
    if (first?.bytes) {
      await post('output', {...this.#query, name: first.name}, first.bytes);
      this.#entries.shift();
      return;
    }
    const lines = [];
    let bytes = 0;
    for (const {line} of this.#entries) {
      if (line === undefined || (bytes > 0 && bytes + line.length > MOST_BYTES)) {
        break;
      }
      lines.push(line);
      bytes += line.length;
    }
    const {have, stop} = await post('records', {...this.#query, from: this.#sent}, lines.join(''));
    this.#entries.splice(0, have - this.#sent);
    this.#sent = have;
    if (stop) {
      onStop(stop);
    }
  }

  #untilWoken() {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, THERE_EVERY_MS);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
