"use strict";

const byId = (id) => document.getElementById(id);

function show(id, text, state = "") {
  const element = byId(id);
  element.textContent = text;
  element.dataset.state = state;
}

function readableSize(octets) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  for (; octets >= 1024 && unit < units.length - 1; unit++) octets /= 1024;
  return `${octets.toFixed(unit ? 1 : 0).replace(/\.0$/, "")} ${units[unit]}`;
}

function readableTime(milliseconds) {
  if (milliseconds >= 10_000) return `${(milliseconds / 1000).toFixed(1)} s`;
  return `${milliseconds.toFixed(milliseconds < 10 ? 2 : milliseconds < 100 ? 1 : 0)} ms`;
}

// The echo. What comes back comes back in order, so the oldest that waits is the one that came.

const BARS = 60;
const PACE = 500;
const CLOSE_CODES = {
  1001: "the server goes",
  1006: "the connection was lost",
  1009: "the message was too large",
  1011: "the server failed",
};

const echo = { socket: null, waiting: [], times: [], count: 0, total: 0 };

function connectEcho() {
  const socket = new WebSocket(location.origin.replace(/^http/, "ws") + "/echo");
  socket.binaryType = "arraybuffer";
  socket.onopen = () => echoIsOpen(true);
  socket.onmessage = (event) => echoCame(event.data);
  socket.onclose = (event) => echoEnded(event);
  Object.assign(echo, { socket, waiting: [], times: [], count: 0, total: 0 });
  show("echo-status", "Connecting");
  byId("echo-toggle").textContent = "Disconnect";
}

function echoIsOpen(open) {
  byId("echo-send").disabled = !open;
  if (open) {
    show("echo-status", "Connected", "open");
    probe();
  } else {
    byId("echo-toggle").textContent = "Connect";
    echo.socket = null;
  }
}

function echoEnded(event) {
  const reason = event.reason || CLOSE_CODES[event.code] || "";
  const isWanted = event.code === 1000 || event.code === 1005;
  const text = isWanted ? "Disconnected" : `Disconnected: ${event.code} ${reason}`.trim();
  show("echo-status", text, isWanted ? "" : "lost");
  echoIsOpen(false);
}

function toggleEcho() {
  if (echo.socket) echo.socket.close(1000);
  else connectEcho();
}

function isBinary() {
  return document.querySelector("[name=kind]:checked").value === "binary";
}

function sendEcho(text, own) {
  const message = isBinary() ? new TextEncoder().encode(text).buffer : text;
  echo.waiting.push({ text, own, since: performance.now() });
  echo.socket.send(message);
}

// One that waits is enough: behind a slow line they would only measure each other.
function probe() {
  const isOpen = echo.socket && echo.socket.readyState === WebSocket.OPEN;
  if (isOpen && !document.hidden && !echo.waiting.length) {
    sendEcho(`${echo.count + 1} `.padEnd(Number(byId("echo-size").value), "."), false);
  }
}

function echoCame(data) {
  const now = performance.now();
  const { text, own, since } = echo.waiting.shift();
  const came = typeof data === "string" ? data : new TextDecoder().decode(data);
  if (came !== text) return show("echo-said", "What came back is not what was sent.", "bad");
  echo.count += 1;
  echo.total += now - since;
  echo.times = [...echo.times, now - since].slice(-BARS);
  show("echo-last", readableTime(now - since));
  show("echo-average", readableTime(echo.total / echo.count));
  show("echo-count", echo.count);
  drawEcho();
  if (own) {
    const kind = typeof data === "string" ? "as text" : `as ${data.byteLength} bytes of binary`;
    show("echo-said", `“${came}” came back after ${readableTime(now - since)}, ${kind}.`);
  }
}

function drawEcho() {
  const highest = Math.max(...echo.times);
  const bars = echo.times.map((time, index) => {
    const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    const height = Math.max(1, (64 * time) / highest);
    const x = (300 / BARS) * (BARS - echo.times.length + index);
    for (const [name, value] of Object.entries({ x, y: 64 - height, width: 3.6, height })) {
      bar.setAttribute(name, value);
    }
    return bar;
  });
  byId("echo-chart").replaceChildren(...bars);
  const many = bars.length === 1 ? "The last round trip" : `The last ${bars.length} round trips`;
  show("echo-scale", `${many}; the highest bar is ${readableTime(highest)}.`);
}

function sayEcho(event) {
  event.preventDefault();
  const message = byId("echo-message");
  if (message.value && echo.socket && echo.socket.readyState === WebSocket.OPEN) {
    sendEcho(message.value, true);
    message.value = "";
  }
}

// The upload.

const upload = { request: null, file: null, since: 0 };

function beginUpload(files) {
  const [file] = files;
  if (!file) return;
  if (upload.request) return show("upload-status", "One after the other, please.", "bad");
  byId("upload-result").hidden = true;
  const limit = Number(byId("upload-box").dataset.limit);
  if (file.size > limit) return refuseUpload(file, `and this server takes up to ${readableSize(limit)}`);
  sendFile(file);
  show("upload-status", files.length > 1 ? `One at a time: “${file.name}” is the one.` : "");
}

function refuseUpload(file, reason) {
  show("upload-status", `“${file.name}” has ${readableSize(file.size)}, ${reason}.`, "bad");
}

function sendFile(file) {
  const request = new XMLHttpRequest();
  Object.assign(upload, { request, file, since: performance.now() });
  request.upload.onprogress = (event) => moveUpload(event.loaded, event.total);
  request.onload = () => answerUpload(request);
  request.onerror = () => failUpload("The connection was lost, or the file cannot be read.");
  request.onabort = () => failUpload("Cancelled.");
  request.onloadend = endUpload;
  request.open("POST", "/upload");
  request.setRequestHeader("Content-Type", "application/octet-stream");
  byId("upload-moving").hidden = false;
  moveUpload(0, file.size);
  request.send(file);
}

function moveUpload(loaded, total) {
  const seconds = (performance.now() - upload.since) / 1000;
  const part = total ? loaded / total : 0;
  const rate = seconds > 0.1 ? `, ${readableSize(loaded / seconds)}/s` : "";
  byId("upload-bar").value = part;
  const percent = `${Math.floor(part * 100)} %`;
  show("upload-progress", `${percent}: ${readableSize(loaded)} of ${readableSize(total)}${rate}`);
}

function answerUpload(request) {
  if (request.status === 413) return refuseUpload(upload.file, "which is more than this server takes");
  if (request.status !== 200) return failUpload(`The server said: ${request.responseText.trim()}`);
  const answer = JSON.parse(request.responseText);
  show("upload-size", `${readableSize(answer.size)}`);
  show("upload-digest", answer.sha256);
  show("upload-time", readableTime(answer.seconds * 1000));
  show("upload-rate", `${readableSize(answer.bytesPerSecond)}/s`);
  show("upload-status", `“${upload.file.name}” has arrived.`);
  byId("upload-result").hidden = false;
}

function failUpload(reason) {
  show("upload-status", `“${upload.file.name}” has not arrived. ${reason}`, "bad");
}

function endUpload() {
  byId("upload-moving").hidden = true;
  byId("upload-file").value = "";
  upload.request = null;
}

// A file that is dropped beside the box must not replace the page.
function dragged(event) {
  if (!event.dataTransfer || !event.dataTransfer.types.includes("Files")) return;
  const isInside = byId("upload-drop").contains(event.target);
  event.preventDefault();
  byId("upload-drop").classList.toggle("over", isInside && event.type === "dragover");
  if (event.type === "dragover") event.dataTransfer.dropEffect = isInside ? "copy" : "none";
  if (isInside && event.type === "drop") beginUpload(event.dataTransfer.files);
}

// Everything is there: begin.

for (const each of document.querySelectorAll(".live")) each.hidden = false;
byId("origin").textContent = location.origin;
byId("echo-toggle").addEventListener("click", toggleEcho);
byId("echo-form").addEventListener("submit", sayEcho);
byId("upload-file").addEventListener("change", (event) => beginUpload(event.target.files));
byId("upload-cancel").addEventListener("click", () => upload.request.abort());
for (const name of ["dragover", "dragleave", "drop"]) document.addEventListener(name, dragged);
setInterval(probe, PACE);
connectEcho();
