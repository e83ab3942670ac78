// A classic worker, as LiteRT.js needs it; what it does stands in a module.
// Messages that come before that is loaded are kept.
const early = [];
self.onmessage = (event) => early.push(event);
import('./bench-worker.mjs').then(
  () => early.forEach((event) => self.onmessage(event)),
  (error) => self.postMessage({kind: 'failed', message: `a part of the page is missing: ${error.message}`}),
);
