// What this browser tells of itself; qsr_edge/bench/browser/told.py has the meaning of each key.

const DETAILS = ['architecture', 'bitness', 'model', 'platformVersion'];

/**
 * @param {{isolated: boolean, relaxedSimd: boolean, timerUs: number}} facts of the worker that measures.
 * @param {object} condition of the device.
 * @return {Promise<object>} what is sent when the page comes.
 */
export async function told(facts, condition) {
  return {
    user_agent: navigator.userAgent,
    ...(await details()),
    cores: navigator.hardwareConcurrency || 0,
    memory_gb: navigator.deviceMemory ?? null,
    isolated: facts.isolated,
    relaxed_simd: facts.relaxedSimd,
    driven: navigator.webdriver === true,
    timer_us: facts.timerUs,
    condition,
  };
}

/** What Chromium tells beside its user agent, where the page is secure. */
async function details() {
  const data = navigator.userAgentData;
  if (data === undefined) {
    return {};
  }
  const known = await data.getHighEntropyValues(DETAILS).catch(() => ({}));
  const named = data.brands.filter(({brand}) => !/not.?a.?brand/i.test(brand));
  const brand = named.find((each) => each.brand !== 'Chromium') ?? named[0];
  return {
    brand: brand ? `${brand.brand} ${brand.version}` : '',
    system: `${data.platform} ${known.platformVersion ?? ''}`.trim(),
    model: known.model ?? '',
    architecture: known.architecture ? `${known.architecture}, ${known.bitness} bits` : '',
  };
}

/**
 * The device's state: power, where the browser tells it (Chromium, on secure pages); nobody tells heat.
 *
 * @param {(condition: object) => void} onChange told at once, and whenever it has changed.
 */
export async function watchCondition(onChange) {
  onChange({});
  const battery = await navigator.getBattery?.().catch(() => null);
  if (!battery) {
    return;
  }
  const tell = () => {
    // Without a battery a browser says that one is full and charging; so a full one tells nothing but the mains.
    const isFull = battery.charging && battery.level === 1;
    const charge = isFull ? {} : {battery_percent: Math.round(100 * battery.level)};
    onChange({...charge, plugged_in: battery.charging});
  };
  battery.addEventListener('levelchange', tell);
  battery.addEventListener('chargingchange', tell);
  tell();
}
