"use strict";
// Two maps of one image with a border between them. Maps come as 8-bit codes of aligned disparity and are coloured here.
(() => {
  const data = JSON.parse(document.getElementById("comparer-data").textContent);
  const byId = (id) => document.getElementById(id);
  const stage = byId("stage"), handle = byId("handle"), readout = byId("readout");
  const layers = { left: byId("layer-left"), right: byId("layer-right") };
  const pickers = { left: byId("compare-left"), right: byId("compare-right") };
  const LARGEST_ZOOM = 12, SHARP_FROM = 3;
  const fixed = [{ key: "photo", label: "photo", group: "The image" }, { key: "truth", label: "ground truth", group: "The image" }];
  const methods = [...fixed, ...data.methods];
  const labels = new Map(methods.map((method) => [method.key, method.label]));
  const tables = Object.fromEntries(Object.entries(data.colours).map(([name, text]) => [name, Uint8Array.from(atob(text), (c) => c.charCodeAt(0))]));
  const state = { image: 0, left: "photo", right: data.methods.length ? data.methods[0].key : "truth", split: 50, scale: "common", colours: "spectral", zoom: 1, x: 0, y: 0 };
  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

  // ---- pixels
  const decoded = new Map();
  const decode = (source) => {
    if (!decoded.has(source)) {
      const picture = new Image();
      picture.src = source;
      decoded.set(source, picture.decode().then(() => picture));
    }
    return decoded.get(source);
  };
  const codesOf = new Map();
  const codes = async (map) => {
    if (!codesOf.has(map)) {
      const picture = await decode(map.source);
      const canvas = new OffscreenCanvas(picture.naturalWidth, picture.naturalHeight);
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.drawImage(picture, 0, 0);
      const pixels = context.getImageData(0, 0, canvas.width, canvas.height).data;
      const values = new Uint8Array(pixels.length / 4);
      for (let i = 0; i < values.length; i += 1) values[i] = pixels[4 * i];
      codesOf.set(map, { values, width: canvas.width, height: canvas.height });
    }
    return codesOf.get(map);
  };
  const valueOf = (map, code) => map.low + ((code - 1) / 254) * (map.high - map.low);
  const coloured = (map, found) => {
    const table = tables[state.colours];
    const [low, high] = state.scale === "common" ? [0, 1] : map.own;
    const palette = new Uint32Array(256);
    for (let code = 1; code < 256; code += 1) {
      const place = high > low ? Math.round(255 * clamp((valueOf(map, code) - low) / (high - low), 0, 1)) : 128;
      palette[code] = (255 << 24) | (table[3 * place + 2] << 16) | (table[3 * place + 1] << 8) | table[3 * place];
    }
    palette[0] = 0xffbebebe;  // no value
    const image = new ImageData(found.width, found.height);
    const pixels = new Uint32Array(image.data.buffer);
    for (let i = 0; i < pixels.length; i += 1) pixels[i] = palette[found.values[i]];
    return image;
  };
  const mapOf = (side) => data.images[state.image].maps[state[side]];
  const drawSide = async (side) => {
    const image = data.images[state.image], method = state[side], map = mapOf(side);
    const canvas = layers[side].querySelector("canvas"), context = canvas.getContext("2d");
    const drawn = method === "photo" ? await decode(image.photo) : await codes(map);
    if (image !== data.images[state.image] || method !== state[side]) return;  // overtaken by another choice
    canvas.width = drawn.naturalWidth || drawn.width;
    canvas.height = drawn.naturalHeight || drawn.height;
    if (method === "photo") context.drawImage(drawn, 0, 0);
    else context.putImageData(coloured(map, drawn), 0, 0);
    const score = map && map.score !== undefined && map.score !== null ? `AbsRel ${map.score.toFixed(3)}` : "";
    const plate = byId(`plate-${side}`);
    plate.textContent = labels.get(method) + (score ? " " : "");
    if (score) plate.append(Object.assign(document.createElement("b"), { textContent: score }));
    canvas.setAttribute("aria-label", `${side}: ${labels.get(method)} of ${image.dataset} ${image.name}${score && `, ${score}`}`);
  };
  const draw = async () => {
    const { width, height } = data.images[state.image];
    stage.style.aspectRatio = `${width} / ${height}`;
    await Promise.all([drawSide("left"), drawSide("right")]);
    stage.dataset.drawn = `${state.image} ${state.left} ${state.right} ${state.scale} ${state.colours}`;
  };

  // ---- border and view
  const setSplit = (percent) => {
    state.split = clamp(percent, 0, 100);
    layers.right.style.clipPath = `inset(0 0 0 ${state.split}%)`;
    handle.style.left = `${state.split}%`;
    handle.setAttribute("aria-valuenow", String(Math.round(state.split)));
    handle.setAttribute("aria-valuetext", `${Math.round(state.split)} % ${labels.get(state.left)}, the rest ${labels.get(state.right)}`);
  };
  const setView = (zoom, x, y) => {
    state.zoom = clamp(zoom, 1, LARGEST_ZOOM);
    state.x = clamp(x, stage.clientWidth * (1 - state.zoom), 0);
    state.y = clamp(y, stage.clientHeight * (1 - state.zoom), 0);
    Object.values(layers).forEach((layer) => {
      layer.querySelector("canvas").style.transform = `translate(${state.x}px, ${state.y}px) scale(${state.zoom})`;
      layer.classList.toggle("sharp", state.zoom >= SHARP_FROM);
    });
    stage.classList.toggle("zoomed", state.zoom > 1);
    byId("compare-zoom").textContent = `${Math.round(100 * state.zoom)} %`;
  };
  const zoomAt = (factor, x = stage.clientWidth / 2, y = stage.clientHeight / 2) => {
    const zoom = clamp(state.zoom * factor, 1, LARGEST_ZOOM), ratio = zoom / state.zoom;
    setView(zoom, x - (x - state.x) * ratio, y - (y - state.y) * ratio);
  };
  const inStage = (event) => {
    const box = stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  // ---- pointers: one moves the border or the enlarged picture, two pinch
  const pointers = new Map();
  let grip = null;
  const pinch = () => {
    const [a, b] = [...pointers.values()];
    return { distance: Math.hypot(a[0] - b[0], a[1] - b[1]) || 1, x: (a[0] + b[0]) / 2, y: (a[1] + b[1]) / 2 };
  };
  stage.addEventListener("pointerdown", (event) => {
    if (event.button > 0) return;
    pointers.set(event.pointerId, inStage(event));
    stage.setPointerCapture(event.pointerId);
    const onHandle = event.target.closest("#handle");
    if (pointers.size === 2) grip = { kind: "pinch", from: pinch() };
    else if (state.zoom > 1 && !onHandle) grip = { kind: "pan", from: inStage(event) };
    else grip = { kind: "split" };
    if (grip.kind === "split") { setSplit((100 * inStage(event)[0]) / stage.clientWidth); handle.focus({ preventScroll: true }); }
    stage.classList.toggle("dragging", grip.kind === "pan");
  });
  stage.addEventListener("pointermove", (event) => {
    const [x, y] = inStage(event);
    showValues(x, y);
    if (!pointers.has(event.pointerId) || !grip) return;
    pointers.set(event.pointerId, [x, y]);
    if (grip.kind === "split") setSplit((100 * x) / stage.clientWidth);
    if (grip.kind === "pan") {
      setView(state.zoom, state.x + x - grip.from[0], state.y + y - grip.from[1]);
      grip.from = [x, y];
    }
    if (grip.kind === "pinch" && pointers.size === 2) {
      const now = pinch();
      zoomAt(now.distance / grip.from.distance, now.x, now.y);
      setView(state.zoom, state.x + now.x - grip.from.x, state.y + now.y - grip.from.y);
      grip.from = now;
    }
  });
  const release = (event) => {
    pointers.delete(event.pointerId);
    grip = null;
    stage.classList.remove("dragging");
  };
  stage.addEventListener("pointerup", release);
  stage.addEventListener("pointercancel", release);
  stage.addEventListener("dblclick", (event) => {
    if (state.zoom > 1) setView(1, 0, 0);
    else zoomAt(SHARP_FROM, ...inStage(event));
  });
  stage.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;  // the wheel alone scrolls the page
    event.preventDefault();
    zoomAt(Math.exp(-event.deltaY / 200), ...inStage(event));
  }, { passive: false });

  const showValues = async (x, y) => {
    const u = (x - state.x) / state.zoom / stage.clientWidth, v = (y - state.y) / state.zoom / stage.clientHeight;
    const parts = [];
    for (const side of ["left", "right"]) {
      const map = mapOf(side);
      if (!map) continue;
      const found = await codes(map);
      const code = found.values[clamp(Math.floor(v * found.height), 0, found.height - 1) * found.width + clamp(Math.floor(u * found.width), 0, found.width - 1)];
      parts.push(`${labels.get(state[side])}: ${code ? valueOf(map, code).toFixed(2).replace("-", "−") : "no value"}`);
    }
    if (parts.length) readout.textContent = `${parts.join("  ·  ")}  (0 = far end of the common scale, 1 = near end)`;
  };

  // ---- keyboard
  const PAN = 40;
  const keys = {
    ArrowLeft: () => setSplit(state.split - 2), ArrowRight: () => setSplit(state.split + 2),
    ArrowDown: () => setSplit(state.split - 2), ArrowUp: () => setSplit(state.split + 2),
    PageDown: () => setSplit(state.split - 10), PageUp: () => setSplit(state.split + 10),
    Home: () => setSplit(0), End: () => setSplit(100),
    "+": () => zoomAt(1.5), "=": () => zoomAt(1.5), "-": () => zoomAt(1 / 1.5), 0: () => setView(1, 0, 0),
  };
  const shifted = {
    ArrowLeft: () => setView(state.zoom, state.x + PAN, state.y), ArrowRight: () => setView(state.zoom, state.x - PAN, state.y),
    ArrowUp: () => setView(state.zoom, state.x, state.y + PAN), ArrowDown: () => setView(state.zoom, state.x, state.y - PAN),
  };
  handle.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const action = (event.shiftKey && shifted[event.key]) || keys[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });

  // ---- controls
  const option = (method) => Object.assign(document.createElement("option"), { value: method.key, textContent: method.label });
  Object.entries(pickers).forEach(([side, picker]) => {
    [...new Set(methods.map((method) => method.group))].forEach((group) => {
      const box = Object.assign(document.createElement("optgroup"), { label: group });
      box.append(...methods.filter((method) => method.group === group).map(option));
      picker.append(box);
    });
    picker.value = state[side];
    picker.addEventListener("change", () => { state[side] = picker.value; setSplit(state.split); draw(); });
  });
  byId("compare-swap").addEventListener("click", () => {
    [state.left, state.right] = [state.right, state.left];
    Object.entries(pickers).forEach(([side, picker]) => { picker.value = state[side]; });
    setSplit(state.split);
    draw();
  });
  document.querySelectorAll('input[name="scale"]').forEach((input) => input.addEventListener("change", () => { state.scale = input.value; draw(); }));
  const legend = () => {
    const canvas = byId("compare-legend"), image = new ImageData(256, 1), table = tables[state.colours];
    for (let i = 0; i < 256; i += 1) image.data.set([table[3 * i], table[3 * i + 1], table[3 * i + 2], 255], 4 * i);
    canvas.getContext("2d").putImageData(image, 0, 0);
  };
  const colours = byId("compare-colours");
  colours.append(...Object.keys(tables).map((name) => option({ key: name, label: name })));
  colours.addEventListener("change", () => { state.colours = colours.value; legend(); draw(); });
  const zooms = { in: () => zoomAt(1.5), out: () => zoomAt(1 / 1.5), reset: () => setView(1, 0, 0) };
  document.querySelectorAll("[data-zoom]").forEach((button) => button.addEventListener("click", zooms[button.dataset.zoom]));
  const boxes = new Map();
  data.images.forEach((image, place) => {
    if (!boxes.has(image.dataset)) {
      const box = document.createElement("div"), row = Object.assign(document.createElement("div"), { className: "row" });
      box.append(Object.assign(document.createElement("p"), { textContent: image.dataset }), row);
      byId("compare-images").append(box);
      boxes.set(image.dataset, row);
    }
    const label = document.createElement("label");
    const input = Object.assign(document.createElement("input"), { type: "radio", name: "image", value: String(place), checked: place === 0 });
    input.addEventListener("change", () => { state.image = place; setView(1, 0, 0); draw(); });
    label.append(input, Object.assign(document.createElement("img"), { src: image.photo, alt: `${image.dataset} ${image.name}` }));
    boxes.get(image.dataset).append(label);
  });
  addEventListener("resize", () => setView(state.zoom, state.x, state.y));
  legend();
  setSplit(50);
  draw().then(() => setView(1, 0, 0));
})();
