"use strict";
// The page is whole without this file: it adds the theme button and the picture viewer, and loads nothing.
(() => {
  const find = (id) => document.getElementById(id);

  const button = find("theme");
  const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : prefersDark.matches;
  };
  const nameTheme = () => {
    button.textContent = isDark() ? "Light theme" : "Dark theme";
  };
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    nameTheme();
  });
  prefersDark.addEventListener("change", nameTheme);
  nameTheme();
  button.hidden = false;

  if (!find("viewer-data")) return;
  const images = JSON.parse(find("viewer-data").textContent);
  const stage = find("viewer-stage");
  const canvas = find("viewer-canvas");
  const divider = find("viewer-divider");
  const position = find("viewer-position");
  const choice = Object.fromEntries(["image", "left", "right", "mode", "gain", "zoom"].map((name) => [name, find(`viewer-${name}`)]));
  const elements = new Map([...document.querySelectorAll("img[data-picture]")].map((img) => [img.dataset.picture, img]));
  const MAX_STAGE_SHARE = 0.78; // of the window's height
  const GRAB_PX = 28;

  let image = images[0];
  let left = null; // canvases of the image's size
  let right = null;
  let difference = null;
  let centre = [0, 0];
  let turn = 0; // the latest choice wins over pictures that are still being decoded

  // A version of the image as a canvas of the output's size; the input is enlarged without smoothing.
  async function picture(version) {
    const element = elements.get(version.id);
    await element.decode();
    const target = document.createElement("canvas");
    target.width = image.width_px;
    target.height = image.height_px;
    const context = target.getContext("2d", { willReadFrequently: true });
    context.imageSmoothingEnabled = false;
    context.drawImage(element, 0, 0, target.width, target.height);
    return target;
  }

  function bytes(source) {
    return source.getContext("2d").getImageData(0, 0, image.width_px, image.height_px).data;
  }

  // The amplified absolute difference as a canvas, and in figures.
  function compare() {
    const a = bytes(left);
    const b = bytes(right);
    const gain = Number(choice.gain.value);
    const target = document.createElement("canvas");
    target.width = image.width_px;
    target.height = image.height_px;
    const context = target.getContext("2d");
    const result = context.createImageData(target.width, target.height);
    let sum = 0;
    let largest = 0;
    let equal = 0;
    for (let i = 0; i < a.length; i += 4) {
      let worst = 0;
      for (let j = i; j < i + 3; j += 1) {
        const distance = Math.abs(a[j] - b[j]);
        sum += distance;
        worst = Math.max(worst, distance);
        result.data[j] = distance * gain;
      }
      result.data[i + 3] = 255;
      largest = Math.max(largest, worst);
      equal += worst === 0;
    }
    context.putImageData(result, 0, 0);
    difference = target;
    const pixels = a.length / 4;
    const share = ((100 * equal) / pixels).toFixed(1);
    find("viewer-readout").textContent = largest === 0
      ? "Both pictures are equal, pixel for pixel."
      : `Difference in this view: mean ${(sum / pixels / 3).toFixed(2)} of 255, largest ${largest}; ${share} % of pixels are equal.`;
  }

  function version(side) {
    return image.versions[Number(choice[side].value)];
  }

  function named(entry) {
    return entry.psnr_db === null ? entry.label : `${entry.label}: ${entry.psnr_db.toFixed(2)} dB`;
  }

  function geometry() {
    const width = stage.clientWidth;
    const fit = width / image.width_px;
    const height = Math.round(Math.min(image.height_px * fit, window.innerHeight * MAX_STAGE_SHARE));
    const zoomed = choice.zoom.value !== "fit";
    const factor = zoomed ? Number(choice.zoom.value) : Math.min(fit, height / image.height_px);
    const half = [width / 2 / factor, height / 2 / factor];
    const size = [image.width_px, image.height_px];
    centre = centre.map((value, axis) => (2 * half[axis] >= size[axis] ? size[axis] / 2 : Math.min(Math.max(value, half[axis]), size[axis] - half[axis])));
    return { width, height, factor, zoomed, x: width / 2 - centre[0] * factor, y: height / 2 - centre[1] * factor };
  }

  function draw() {
    if (!left || !right) return;
    const view = geometry();
    const density = window.devicePixelRatio || 1;
    canvas.width = Math.round(view.width * density);
    canvas.height = Math.round(view.height * density);
    canvas.style.height = `${view.height}px`;
    stage.classList.toggle("zoomed", view.zoomed);
    stage.dataset.mode = choice.mode.value;
    const context = canvas.getContext("2d");
    context.scale(density, density);
    context.imageSmoothingEnabled = false;
    const paint = (source) => context.drawImage(source, view.x, view.y, image.width_px * view.factor, image.height_px * view.factor);
    const split = (Number(position.value) / 100) * view.width;
    if (choice.mode.value === "difference") {
      paint(difference);
    } else {
      paint(right);
      context.save();
      context.beginPath();
      context.rect(0, 0, split, view.height);
      context.clip();
      context.fillStyle = "#808080";
      context.fillRect(0, 0, split, view.height);
      paint(left);
      context.restore();
    }
    divider.style.left = `${split}px`;
    const names = [named(version("left")), named(version("right"))];
    const sliding = choice.mode.value === "slider";
    find("viewer-left-name").textContent = sliding ? names[0] : `|${version("left").label} − ${version("right").label}| ×${choice.gain.value}`;
    find("viewer-right-name").textContent = sliding ? names[1] : "";
    position.setAttribute("aria-valuetext", `${position.value} % ${version("left").label}, ${100 - position.value} % ${version("right").label}`);
    position.disabled = !sliding;
    choice.gain.disabled = sliding;
    canvas.setAttribute("aria-label", sliding
      ? `${image.name}: left ${names[0]}, right ${names[1]}`
      : `${image.name}: amplified difference of ${names[0]} and ${names[1]}`);
  }

  async function load() {
    turn += 1;
    const mine = turn;
    const [a, b] = await Promise.all([picture(version("left")), picture(version("right"))]);
    if (mine !== turn) return;
    left = a;
    right = b;
    compare();
    draw();
  }

  function options(select, chosen) {
    const groups = new Map();
    image.versions.forEach((entry, index) => {
      if (!groups.has(entry.group)) {
        const group = document.createElement("optgroup");
        group.label = entry.group;
        groups.set(entry.group, group);
      }
      const option = document.createElement("option");
      option.value = String(index);
      option.textContent = entry.label;
      groups.get(entry.group).append(option);
    });
    select.replaceChildren(...groups.values());
    select.value = String(chosen);
  }

  function chooseImage() {
    image = images[Number(choice.image.value)];
    centre = [image.width_px / 2, image.height_px / 2];
    options(choice.left, image.first_left);
    options(choice.right, image.first_right);
    find("viewer-note").textContent = image.note;
    return load();
  }

  function setPosition(clientX) {
    const box = stage.getBoundingClientRect();
    position.value = String(Math.round((100 * (clientX - box.left)) / box.width));
    draw();
  }

  let drag = null;
  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    const view = geometry();
    const split = (Number(position.value) / 100) * view.width;
    const near = Math.abs(event.clientX - stage.getBoundingClientRect().left - split) <= GRAB_PX;
    const slides = choice.mode.value === "slider" && (near || !view.zoomed);
    drag = { slides, x: event.clientX, y: event.clientY, centre: [...centre], factor: view.factor };
    stage.setPointerCapture(event.pointerId);
    if (slides) setPosition(event.clientX);
  });
  stage.addEventListener("pointermove", (event) => {
    if (!drag) return;
    if (drag.slides) {
      setPosition(event.clientX);
    } else {
      centre = [drag.centre[0] - (event.clientX - drag.x) / drag.factor, drag.centre[1] - (event.clientY - drag.y) / drag.factor];
      draw();
    }
  });
  for (const kind of ["pointerup", "pointercancel"]) stage.addEventListener(kind, () => { drag = null; });

  stage.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const levels = [...choice.zoom.options].map((option) => option.value);
    const at = levels.indexOf(choice.zoom.value);
    if (event.key in moves && choice.zoom.value !== "fit") {
      const view = geometry();
      centre = centre.map((value, axis) => value + (moves[event.key][axis] * 40) / view.factor);
    } else if (event.key === "+" || event.key === "=") {
      choice.zoom.value = levels[Math.min(at + 1, levels.length - 1)];
    } else if (event.key === "-") {
      choice.zoom.value = levels[Math.max(at - 1, 0)];
    } else {
      return;
    }
    event.preventDefault();
    draw();
  });

  choice.image.addEventListener("change", chooseImage);
  for (const side of ["left", "right"]) choice[side].addEventListener("change", load);
  choice.gain.addEventListener("change", () => { compare(); draw(); });
  for (const name of ["mode", "zoom"]) choice[name].addEventListener("change", draw);
  position.addEventListener("input", draw);
  new ResizeObserver(draw).observe(stage);
  find("viewer").hidden = false;
  chooseImage();
})();
