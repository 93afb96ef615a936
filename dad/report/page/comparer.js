"use strict";
// Two maps of one image with a border between them. Maps come as 8-bit codes of aligned disparity and are coloured here.
(() => {
  const data = JSON.parse(document.getElementById("comparer-data").textContent);
  const byId = (id) => document.getElementById(id);
  const stage = byId("stage"), layers = byId("layers"), border = byId("border"), readout = byId("readout"), colours = byId("compare-colours");
  const canvases = { left: byId("layer-left"), right: byId("layer-right") };
  const pickers = { left: byId("compare-left"), right: byId("compare-right") };
  const LARGEST_ZOOM = 12, SHARP_FROM = 3;
  const tables = Object.fromEntries(Object.entries(data.colours).map(([name, text]) => [name, Uint8Array.from(atob(text), (c) => c.charCodeAt(0))]));
  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
  const chosen = (name) => document.querySelector(`#compare input[name="${name}"]:checked`).value;
  const settings = () => [chosen("image"), pickers.left.value, pickers.right.value, chosen("scale"), colours.value].join(" ");
  const label = (side) => pickers[side].selectedOptions[0].textContent;
  const mapOf = (side) => data.images[chosen("image")].maps[pickers[side].value];  // the photo has none

  // ---- pixels
  const codesOf = new Map();
  const decoded = async (map) => {
    const picture = Object.assign(new Image(), { src: map.source });
    await picture.decode();
    const context = new OffscreenCanvas(picture.naturalWidth, picture.naturalHeight).getContext("2d", { willReadFrequently: true });
    context.drawImage(picture, 0, 0);
    const { data: pixels, width, height } = context.getImageData(0, 0, picture.naturalWidth, picture.naturalHeight);
    return { values: pixels.filter((_, i) => i % 4 === 0), width, height };
  };
  const codes = (map) => {
    if (!codesOf.has(map)) codesOf.set(map, decoded(map));
    return codesOf.get(map);
  };
  const valueOf = (map, code) => map.low + ((code - 1) / 254) * (map.high - map.low);
  const coloured = (map, found) => {
    const table = tables[colours.value];
    const [low, high] = chosen("scale") === "common" ? [0, 1] : map.own;
    const palette = new Uint32Array(256);
    for (let code = 1; code < 256; code += 1) {
      const place = high > low ? Math.round(255 * clamp((valueOf(map, code) - low) / (high - low), 0, 1)) : 128;
      palette[code] = (255 << 24) | (table[3 * place + 2] << 16) | (table[3 * place + 1] << 8) | table[3 * place];
    }
    palette[0] = 0xffbebebe;  // no value
    const image = new ImageData(found.width, found.height);
    new Uint32Array(image.data.buffer).set(Uint32Array.from(found.values, (code) => palette[code]));
    return image;
  };
  const drawSide = async (side, now) => {
    const canvas = canvases[side], context = canvas.getContext("2d"), map = mapOf(side), photo = byId(`photo-${chosen("image")}`);
    const found = map ? await codes(map) : await photo.decode();
    if (settings() !== now) return;  // overtaken by another choice
    [canvas.width, canvas.height] = map ? [found.width, found.height] : [photo.naturalWidth, photo.naturalHeight];
    if (map) context.putImageData(coloured(map, found), 0, 0);
    else context.drawImage(photo, 0, 0);
    const score = map && map.score !== undefined && map.score !== null ? `AbsRel ${map.score.toFixed(3)}` : "";
    const plate = byId(`plate-${side}`);
    plate.textContent = label(side) + (score ? " " : "");
    if (score) plate.append(Object.assign(document.createElement("b"), { textContent: score }));
    canvas.setAttribute("aria-label", `${side}: ${label(side)} of ${photo.alt}${score && `, ${score}`}`);
  };
  const draw = async () => {
    const now = settings(), { width, height } = data.images[chosen("image")];
    stage.style.setProperty("--aspect", `${width} / ${height}`);
    const context = byId("compare-legend").getContext("2d"), row = new ImageData(256, 1), table = tables[colours.value];
    for (let i = 0; i < 256; i += 1) row.data.set([table[3 * i], table[3 * i + 1], table[3 * i + 2], 255], 4 * i);
    context.putImageData(row, 0, 0);
    setSplit();
    await Promise.all([drawSide("left", now), drawSide("right", now)]);
    if (settings() === now) stage.dataset.drawn = now;
  };

  // ---- border and zoom: the border is a slider over the picture, and the stage scrolls where the picture is larger
  let zoom = 1;
  const setSplit = () => {
    layers.style.setProperty("--split", `${border.value}%`);
    border.setAttribute("aria-valuetext", `${border.value} % ${label("left")}, the rest ${label("right")}`);
  };
  // what lies at this share of the stage stays there
  const zoomTo = (wanted, x = 0.5, y = 0.5) => {
    const across = (stage.scrollLeft + x * stage.clientWidth) / layers.clientWidth;
    const down = (stage.scrollTop + y * stage.clientHeight) / layers.clientHeight;
    zoom = clamp(wanted, 1, LARGEST_ZOOM);
    stage.classList.toggle("zoomed", zoom > 1);
    stage.classList.toggle("sharp", zoom >= SHARP_FROM);
    layers.style.width = `${100 * zoom}%`;
    stage.scrollTo({ left: across * layers.clientWidth - x * stage.clientWidth, top: down * layers.clientHeight - y * stage.clientHeight, behavior: "instant" });
    byId("compare-zoom").textContent = `${Math.round(100 * zoom)} %`;
  };
  const shareOf = (box, event) => [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  const placeIn = (element, event) => shareOf(element.getBoundingClientRect(), event);
  border.addEventListener("input", setSplit);
  stage.addEventListener("dblclick", (event) => zoomTo(zoom > 1 ? 1 : SHARP_FROM, ...placeIn(stage, event)));
  stage.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;  // the wheel alone scrolls
    event.preventDefault();
    zoomTo(zoom * Math.exp(-event.deltaY / 200), ...placeIn(stage, event));
  }, { passive: false });
  stage.addEventListener("pointermove", async (event) => {
    if (zoom > 1 && event.buttons === 1 && event.pointerType === "mouse" && event.target !== border) stage.scrollBy(-event.movementX, -event.movementY);
    const [u, v] = placeIn(layers, event), parts = [];
    for (const side of ["left", "right"]) {
      const map = mapOf(side);
      if (!map) continue;
      const { values, width, height } = await codes(map);
      const code = values[clamp(Math.floor(v * height), 0, height - 1) * width + clamp(Math.floor(u * width), 0, width - 1)];
      parts.push(`${label(side)}: ${code ? valueOf(map, code).toFixed(2).replace("-", "−") : "no value"}`);
    }
    if (parts.length) readout.textContent = `${parts.join("  ·  ")}  (0 = far end of the common scale, 1 = near end)`;
  });
  const zooms = { in: () => zoomTo(1.5 * zoom), out: () => zoomTo(zoom / 1.5), reset: () => zoomTo(1) };
  const keys = { "+": zooms.in, "=": zooms.in, "-": zooms.out, 0: zooms.reset };
  stage.addEventListener("keydown", (event) => {
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    keys[event.key]();
  });
  document.querySelectorAll("[data-zoom]").forEach((button) => button.addEventListener("click", zooms[button.dataset.zoom]));

  // ---- choices
  byId("compare-swap").addEventListener("click", () => {
    [pickers.left.value, pickers.right.value] = [pickers.right.value, pickers.left.value];
    draw();
  });
  byId("compare").addEventListener("change", (event) => {
    if (event.target === border) return;
    if (event.target.name === "image") zoomTo(1);
    draw();
  });
  draw();
})();
