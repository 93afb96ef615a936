"use strict";
// The points of Fig. 10, turned by hand: drawn into a canvas with a depth buffer, which needs neither a library nor a graphics card.
(() => {
  const data = JSON.parse(document.getElementById("clouds-data").textContent);
  const canvas = document.getElementById("cloud"), picker = document.getElementById("cloud-which");
  const context = canvas.getContext("2d"), { width, height } = canvas;
  const image = new ImageData(width, height), pixels = new Uint32Array(image.data.buffer), nearest = new Float32Array(width * height);
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
  const share = (values, part) => Float64Array.from(values).sort()[Math.floor(part * (values.length - 1))];
  const START = { yaw: 0, pitch: 0, zoom: 1 };
  let cloud = null, view = { ...START }, due = false;

  // ---- a cloud, and how its first view fills the canvas
  const opened = new Map();
  const open = (entry) => {
    if (!opened.has(entry)) {
      const steps = new Uint16Array(bytes(entry.points).buffer), rgb = bytes(entry.colours), count = rgb.length / 3;
      const points = Float32Array.from(steps, (step, i) => entry.low[i % 3] + step * entry.step);
      const colours = Uint32Array.from({ length: count }, (_, i) => (255 << 24) | (rgb[3 * i + 2] << 16) | (rgb[3 * i + 1] << 8) | rgb[3 * i]);
      const at = (axis) => Float32Array.from({ length: count }, (_, i) => points[3 * i + axis]);
      const z = at(2), wide = share(at(0).map((x, i) => Math.abs(x / z[i])), 0.99), tall = share(at(1).map((y, i) => Math.abs(y / z[i])), 0.99);
      // each point is as large as its share of the first view, so that surfaces are closed
      opened.set(entry, { points, colours, count, pivot: share(z, 0.5), focal: 0.48 * Math.min(width / wide, height / tall), side: 1.8 * Math.sqrt((4 * wide * tall) / count) });
    }
    return opened.get(entry);
  };

  const draw = () => {
    due = false;
    const { points, colours, count, pivot, focal, side } = cloud;
    const [cy, sy, cp, sp] = [Math.cos(view.yaw), Math.sin(view.yaw), Math.cos(view.pitch), Math.sin(view.pitch)];
    pixels.fill(0);
    nearest.fill(Infinity);
    for (let i = 0; i < count; i += 1) {
      const x0 = points[3 * i], y0 = points[3 * i + 1], z0 = points[3 * i + 2] - pivot;
      const x = cy * x0 + sy * z0, between = cy * z0 - sy * x0;
      const y = cp * y0 - sp * between, z = sp * y0 + cp * between + pivot / view.zoom;
      if (z < 0.02 * pivot) continue;
      const size = clamp(Math.ceil(((z0 + pivot) * side * focal) / z), 1, 12);
      const left = Math.round(width / 2 + (focal * x) / z - size / 2), top = Math.round(height / 2 + (focal * y) / z - size / 2);
      for (let v = Math.max(top, 0); v < Math.min(top + size, height); v += 1) {
        for (let u = Math.max(left, 0); u < Math.min(left + size, width); u += 1) {
          const place = v * width + u;
          if (z < nearest[place]) { nearest[place] = z; pixels[place] = colours[i]; }
        }
      }
    }
    context.putImageData(image, 0, 0);
    canvas.dataset.drawn = `${picker.value} ${view.yaw.toFixed(2)} ${view.pitch.toFixed(2)} ${view.zoom.toFixed(2)}`;
  };
  const change = (next) => {
    view = { yaw: clamp(next.yaw, -3.2, 3.2), pitch: clamp(next.pitch, -1.5, 1.5), zoom: clamp(next.zoom, 0.3, 6) };
    if (!due) { due = true; requestAnimationFrame(draw); }
  };
  const choose = () => { cloud = open(data[picker.value]); change(START); };

  // ---- pointers: one turns, two pinch; keys
  const pointers = new Map();
  const spread = () => { const [a, b] = [...pointers.values()]; return Math.hypot(a[0] - b[0], a[1] - b[1]) || 1; };
  canvas.addEventListener("pointerdown", (event) => { pointers.set(event.pointerId, [event.clientX, event.clientY]); canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId), apart = pointers.size === 2 ? spread() : 0, turn = 4 / canvas.clientWidth;
    if (!before) return;
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (apart) change({ ...view, zoom: (view.zoom * spread()) / apart });
    else change({ ...view, yaw: view.yaw + turn * (event.clientX - before[0]), pitch: view.pitch - turn * (event.clientY - before[1]) });
  });
  ["pointerup", "pointercancel"].forEach((kind) => canvas.addEventListener(kind, (event) => pointers.delete(event.pointerId)));
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;  // the wheel alone scrolls the page
    event.preventDefault();
    change({ ...view, zoom: view.zoom * Math.exp(-event.deltaY / 200) });
  }, { passive: false });
  const keys = {
    ArrowLeft: (v) => ({ ...v, yaw: v.yaw - 0.1 }), ArrowRight: (v) => ({ ...v, yaw: v.yaw + 0.1 }),
    ArrowUp: (v) => ({ ...v, pitch: v.pitch + 0.1 }), ArrowDown: (v) => ({ ...v, pitch: v.pitch - 0.1 }),
    "+": (v) => ({ ...v, zoom: v.zoom * 1.2 }), "=": (v) => ({ ...v, zoom: v.zoom * 1.2 }), "-": (v) => ({ ...v, zoom: v.zoom / 1.2 }), 0: () => START,
  };
  canvas.addEventListener("keydown", (event) => {
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    change(keys[event.key](view));
  });
  picker.addEventListener("change", choose);
  document.getElementById("cloud-reset").addEventListener("click", () => change(START));
  // 30,000 points are worked out only when somebody comes to see them
  new IntersectionObserver((entries, watcher) => {
    if (entries.some((entry) => entry.isIntersecting)) { watcher.disconnect(); choose(); }
  }, { rootMargin: "200px" }).observe(canvas);
})();
