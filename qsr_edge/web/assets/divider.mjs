// The picture before and after, one over the other, and the divider between them: by touch, mouse and keyboard.

/** Shows the picture on the right of the divider, and the one below it on the left. */
export class Divider {
  #stage;
  #pictures;
  #range;
  #zoom;
  #size = {width: 1, height: 1};

  /**
   * @param {HTMLElement} stage scrolls when the picture is larger than it.
   * @param {HTMLElement} pictures holds both, and the handle.
   * @param {HTMLElement} handle is dragged.
   * @param {HTMLInputElement} range holds the position, 0 to 100 % of what is seen, and serves the keyboard.
   * @param {HTMLSelectElement} zoom `fit`, or screen pixels per pixel of the picture.
   */
  constructor(stage, pictures, handle, range, zoom) {
    this.#stage = stage;
    this.#pictures = pictures;
    this.#range = range;
    this.#zoom = zoom;
    range.addEventListener('input', () => this.#cut());
    stage.addEventListener('scroll', () => this.#cut());
    zoom.addEventListener('change', () => this.#resize());
    new ResizeObserver(() => this.#cut()).observe(stage);
    handle.addEventListener('pointerdown', (event) => {
      handle.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    handle.addEventListener('pointermove', (event) => {
      if (handle.hasPointerCapture(event.pointerId)) {
        this.#moveTo(event.clientX);
      }
    });
    // A click on the picture brings the divider there; a drag scrolls, where there is something to scroll.
    pictures.addEventListener('click', (event) => this.#moveTo(event.clientX));
  }

  /** Show a picture of another size, whole. */
  show(width, height) {
    this.#size = {width, height};
    this.#pictures.style.aspectRatio = `${width} / ${height}`;
    this.#resize();
  }

  #resize() {
    const fits = this.#zoom.value === 'fit';
    const factor = fits ? 0 : Number(this.#zoom.value) / (self.devicePixelRatio || 1);
    this.#pictures.style.width = fits ? '' : `${this.#size.width * factor}px`;
    this.#pictures.classList.toggle('enlarged', !fits && Number(this.#zoom.value) > 1);
    this.#cut();
  }

  #moveTo(clientX) {
    const box = this.#stage.getBoundingClientRect();
    const share = (clientX - box.left) / this.#stage.clientWidth;
    this.#range.value = String(Math.round(100 * Math.min(1, Math.max(0, share))));
    this.#cut();
  }

  /** The divider stands still in the frame while the picture scrolls under it. */
  #cut() {
    const share = Number(this.#range.value) / 100;
    const inset = this.#pictures.offsetLeft;
    const seen = this.#stage.scrollLeft + share * this.#stage.clientWidth - inset;
    const cut = Math.min(this.#pictures.offsetWidth, Math.max(0, seen));
    this.#pictures.style.setProperty('--cut', `${cut}px`);
    const shown = Math.round(100 * share);
    this.#range.setAttribute('aria-valuetext', `${shown} % before, ${100 - shown} % after`);
  }
}
