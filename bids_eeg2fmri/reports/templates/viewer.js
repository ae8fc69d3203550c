// The slice viewer: measured and synthesized BOLD under one cursor. No library, no network, nothing global.
"use strict";
(() => {
  // ColorBrewer's RdBu, from decrease to increase.
  const COLORS = ["053061", "2166ac", "4393c3", "92c5de", "d1e5f0", "f7f7f7", "fddbc7", "f4a582", "d6604d", "b2182b", "67001f"]
    .map((hex) => [0, 2, 4].map((start) => parseInt(hex.slice(start, start + 2), 16)));
  // Which axes of the image (0: x, 1: y, 2: z) run across and up, and what lies at the left and right edge.
  const PLANES = {
    axial: { across: 0, up: 1, edges: "LR" },
    coronal: { across: 0, up: 2, edges: "LR" },
    sagittal: { across: 1, up: 2, edges: "PA" },
  };
  const SIDES = ["measured", "synthesized"];

  function colorOf(share) { // -1 to 1
    const place = Math.min(Math.max((share + 1) / 2, 0), 1) * (COLORS.length - 1);
    const low = Math.min(Math.floor(place), COLORS.length - 2);
    return COLORS[low].map((value, i) => value + (place - low) * (COLORS[low + 1][i] - value));
  }

  function told(value, digits) {
    const text = value.toFixed(digits);
    return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "\u2212");
  }

  function correlate(a, b) {
    const mean = (x) => x.reduce((sum, value) => sum + value, 0) / x.length;
    const [meanA, meanB] = [mean(a), mean(b)];
    let [ab, aa, bb] = [0, 0, 0];
    a.forEach((value, i) => {
      ab += (value - meanA) * (b[i] - meanB);
      aa += (value - meanA) ** 2;
      bb += (b[i] - meanB) ** 2;
    });
    return aa * bb > 0 ? ab / Math.sqrt(aa * bb) : NaN;
  }

  // What viewer.py packed: steps, counts and the mask.
  async function unpack({ shape, times, packed }) {
    const zipped = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
    const stream = new Blob([zipped]).stream().pipeThrough(new DecompressionStream("deflate"));
    const buffer = await new Response(stream).arrayBuffer();
    const cells = shape[0] * shape[1] * shape[2];
    const mask = new Uint8Array(buffer, buffer.byteLength - cells);
    let n = 0;
    const blocks = Int32Array.from(mask, (inside) => (inside ? n++ : -1));
    const courses = SIDES.map((_, side) => {
      const steps = new Float32Array(buffer, 4 * n * side, n);
      const counts = new Int8Array(buffer, 8 * n + n * times.length * side, n * times.length);
      return Float32Array.from(counts, (value, i) => value * steps[Math.floor(i / times.length)]);
    });
    return { blocks, courses };
  }

  function show(root, data, { blocks, courses }) {
    const { shape, affine, times, limits } = data;
    const sliders = ["x", "y", "z", "time"].map((name) => root.querySelector(`input[name=${name}]`));
    const same = root.querySelector("input[type=checkbox]");
    const readout = root.querySelector(".readout");
    const small = document.createElement("canvas");
    const pictures = [...root.querySelectorAll("canvas")].map((canvas) => {
      return { canvas, side: SIDES.indexOf(canvas.dataset.side), ...PLANES[canvas.dataset.plane] };
    });
    const spacing = [0, 1, 2].map((axis) => Math.hypot(affine[0][axis], affine[1][axis], affine[2][axis]));
    const width = (axis) => spacing[axis] * shape[axis];
    const blockAt = (at) => blocks[(at[0] * shape[1] + at[1]) * shape[2] + at[2]];
    const toMm = (at) => [0, 1, 2].map((row) => affine[row][3] + at.reduce((sum, i, axis) => sum + affine[row][axis] * i, 0));
    const cursor = () => sliders.slice(0, 3).map((slider) => Number(slider.value));
    const limitOf = (side) => (same.checked ? Math.max(...limits) : limits[side]);
    const courseAt = (side, block) => courses[side].subarray(block * times.length, (block + 1) * times.length);

    function drawSlice({ canvas, side, across, up, edges }, at, time) {
      const [columns, rows] = [shape[across], shape[up]];
      const image = new ImageData(columns, rows);
      const here = [...at];
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++) {
          here[across] = column;
          here[up] = rows - 1 - row;
          const block = blockAt(here);
          if (block < 0) continue;
          const color = colorOf(courses[side][block * times.length + time] / limitOf(side));
          image.data.set([...color, 255], 4 * (row * columns + column));
        }
      }
      [small.width, small.height] = [columns, rows];
      small.getContext("2d").putImageData(image, 0, 0);
      const sharpness = window.devicePixelRatio || 1;
      canvas.width = Math.max(1, Math.round(canvas.clientWidth * sharpness));
      canvas.height = Math.max(1, Math.round((canvas.width * width(up)) / width(across)));
      const context = canvas.getContext("2d");
      context.imageSmoothingEnabled = false;
      context.drawImage(small, 0, 0, canvas.width, canvas.height);
      const [pixelX, pixelY] = [canvas.width / columns, canvas.height / rows];
      const [x, y] = [(at[across] + 0.5) * pixelX, (rows - at[up] - 0.5) * pixelY];
      // Lines leave the place itself free; inverted, they are seen on every color.
      context.globalCompositeOperation = "difference";
      context.strokeStyle = "#ccc";
      context.lineWidth = sharpness;
      context.beginPath();
      for (const [start, end, isRow] of [
        [0, x - pixelX, true], [x + pixelX, canvas.width, true], [0, y - pixelY, false], [y + pixelY, canvas.height, false],
      ]) {
        if (end <= start) continue;
        context.moveTo(isRow ? start : x, isRow ? y : start);
        context.lineTo(isRow ? end : x, isRow ? y : end);
      }
      context.stroke();
      context.globalCompositeOperation = "source-over";
      context.fillStyle = "#fff";
      context.font = `600 ${12 * sharpness}px sans-serif`;
      context.textBaseline = "top";
      [["left", 4 * sharpness], ["right", canvas.width - 4 * sharpness]].forEach(([align, place], i) => {
        context.textAlign = align;
        context.fillText(edges[i], place, 4 * sharpness);
      });
    }

    function drawCourses(block, time) {
      const both = SIDES.map((_, side) => (block < 0 ? [] : [...courseAt(side, block)]));
      const most = Math.max(...both.flat().map(Math.abs), 0.01);
      const x = (i) => ((times[i] - times[0]) / (times[times.length - 1] - times[0])) * 1000;
      SIDES.forEach((name, side) => {
        // Where volumes are missing the line is interrupted.
        const line = both[side].map((value, i) => {
          const gap = i === 0 || times[i] - times[i - 1] > 1.5 * data.step_s;
          return `${gap ? "M" : "L"}${x(i).toFixed(1)} ${(50 - (48 * value) / most).toFixed(2)}`;
        });
        root.querySelector(`path.${name}`).setAttribute("d", line.join(""));
      });
      root.querySelector("path.now").setAttribute("d", `M${x(time).toFixed(1)} 0V100`);
      root.querySelector(".most").textContent = `+${told(most, 2)} %`;
      root.querySelector(".least").textContent = `\u2212${told(most, 2)} %`;
      return both;
    }

    let waiting = 0;
    let text = "";
    // A screen reader is not to be talked to at every step of a drag.
    function say(words) {
      text = words;
      if (waiting) return;
      readout.textContent = text;
      waiting = setTimeout(() => {
        waiting = 0;
        if (readout.textContent !== text) say(text);
      }, 300);
    }

    function draw() {
      const at = cursor();
      const time = Number(sliders[3].value);
      const block = blockAt(at);
      pictures.forEach((picture) => drawSlice(picture, at, time));
      const both = drawCourses(block, time);
      const middle = shape.map((n) => (n - 1) / 2);
      [...at, time].forEach((value, i) => {
        // Where the image is tilted, a coordinate holds on the axis through the middle.
        const label = i < 3 ? `${told(toMm(middle.map((m, axis) => (axis === i ? value : m)))[i], 0)} mm` : `${told(times[value], 1)} s`;
        sliders[i].setAttribute("aria-valuetext", label);
        sliders[i].parentElement.querySelector("output").textContent = label;
      });
      SIDES.forEach((name, side) => {
        root.querySelector(`.low.${name}`).textContent = `\u2212${limitOf(side)} %`;
        root.querySelector(`.high.${name}`).textContent = `+${limitOf(side)} %`;
      });
      const where = `At ${toMm(at).map((mm) => told(mm, 0)).join(", ")} mm and ${told(times[time], 1)} s: `;
      if (block < 0) return say(`${where}outside the mask.`);
      const r = correlate(...both);
      const values = SIDES.map((name, side) => `${name} ${told(both[side][time], 2)} %`).join(", ");
      return say(`${where}${values}. Over time r\u00a0=\u00a0${Number.isNaN(r) ? "\u2013" : told(r, 2)}.`);
    }

    function pick({ canvas, across, up }, event) {
      const frame = canvas.getBoundingClientRect();
      const share = { [across]: (event.clientX - frame.left) / frame.width, [up]: 1 - (event.clientY - frame.top) / frame.height };
      for (const [axis, part] of Object.entries(share)) sliders[axis].value = Math.floor(part * shape[axis]); // kept in range by the slider
      draw();
    }

    [...shape, times.length].forEach((n, i) => { sliders[i].max = n - 1; });
    // Start at the place of the mask next to its middle.
    let nearest = Infinity;
    for (let x = 0; x < shape[0]; x++) for (let y = 0; y < shape[1]; y++) for (let z = 0; z < shape[2]; z++) {
      const distance = [x, y, z].reduce((sum, i, axis) => sum + (spacing[axis] * (i - (shape[axis] - 1) / 2)) ** 2, 0);
      if (blockAt([x, y, z]) >= 0 && distance < nearest) {
        nearest = distance;
        [x, y, z].forEach((i, axis) => { sliders[axis].value = i; });
      }
    }
    sliders[3].value = 0;
    [[".from", times[0]], [".until", times[times.length - 1]]].forEach(([name, value]) => {
      root.querySelector(name).textContent = `${told(value, 0)} s`;
    });
    root.querySelectorAll(".slices").forEach((row) => {
      row.style.gridTemplateColumns = `${width(0)}fr ${width(0)}fr ${width(1)}fr`; // one mm is as long everywhere
    });
    root.querySelectorAll(".scale").forEach((bar) => {
      bar.style.backgroundImage = `linear-gradient(to right, ${COLORS.map((color) => `rgb(${color})`).join(", ")})`;
    });
    for (const picture of pictures) {
      picture.canvas.style.aspectRatio = `${width(picture.across)} / ${width(picture.up)}`;
      picture.canvas.addEventListener("click", (event) => pick(picture, event));
      picture.canvas.addEventListener("pointerdown", (event) => picture.canvas.setPointerCapture(event.pointerId));
      picture.canvas.addEventListener("pointermove", (event) => { if (event.buttons) pick(picture, event); });
    }
    root.addEventListener("input", draw);
    root.hidden = false;
    root.previousElementSibling.hidden = true; // the words that stand for it
    new ResizeObserver(draw).observe(root);
  }

  document.querySelectorAll(".viewer").forEach(async (root) => {
    const data = JSON.parse(root.querySelector("script").textContent);
    try {
      show(root, data, await unpack(data));
    } catch (error) {
      root.previousElementSibling.append(` This browser cannot show it (${error.message}); those of 2023 and later can.`);
    }
  });
})();
