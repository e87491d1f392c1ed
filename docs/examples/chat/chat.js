"use strict";

// What others have written only ever becomes text: `textContent` knows no markup.

const MOST_LINES = 500;
const LONGEST_WAIT = 30;

const byId = (id) => document.getElementById(id);
const [statusLine, door, room, log, people, say] = ["status", "door", "room", "log", "people", "say"].map(byId);

let socket = null;
let ownName = "";
let wait = 1; // seconds until the next try

function tellStatus(text, isTrouble = false) {
  statusLine.textContent = text;
  statusLine.classList.toggle("trouble", isTrouble);
}

function element(kind, text, className = "") {
  const made = document.createElement(kind);
  made.textContent = text;
  made.className = className;
  return made;
}

function addLine(line) {
  const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.append(line);
  while (log.children.length > MOST_LINES) log.firstElementChild.remove();
  if (isAtEnd) log.scrollTop = log.scrollHeight;
}

function addPerson(name) {
  people.append(element("li", name));
}

const handlers = {
  here: ({ name }) => addPerson(name),
  you({ name }) {
    ownName = name;
    wait = 1;
    tellStatus(`You are ${name}.`);
    byId("text").disabled = false;
    byId("text").focus();
  },
  came({ name }) {
    addPerson(name);
    addLine(element("li", `${name} came in.`, "note"));
  },
  left({ name }) {
    [...people.children].find((each) => each.textContent === name)?.remove();
    addLine(element("li", `${name} left.`, "note"));
  },
  said({ name, text, time }) {
    const line = element("li", "", name === ownName ? "own" : "");
    const moment = new Date(time * 1000);
    const clock = element("time", moment.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
    clock.dateTime = moment.toISOString();
    line.append(clock, element("b", name), element("span", text));
    addLine(line);
  },
};

function connect(name) {
  const address = new URL("room", location.href);
  address.protocol = location.protocol.replace("http", "ws");
  socket = new WebSocket(address);
  socket.onopen = () => {
    // The server tells everything from the beginning.
    log.replaceChildren();
    people.replaceChildren();
    socket.send(JSON.stringify({ name }));
  };
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    handlers[message.kind]?.(message);
  };
  socket.onclose = ({ reason }) => {
    byId("text").disabled = true;
    tellStatus(`${reason || "The connection is gone."} Trying again in ${wait} s.`, true);
    setTimeout(connect, wait * 1000, name);
    wait = Math.min(wait * 2, LONGEST_WAIT);
  };
}

door.addEventListener("submit", (event) => {
  event.preventDefault();
  door.hidden = true;
  room.hidden = false;
  tellStatus("Connecting.");
  connect(byId("name").value);
});

say.addEventListener("submit", (event) => {
  event.preventDefault();
  if (socket.readyState !== WebSocket.OPEN) return;
  socket.send(JSON.stringify({ text: byId("text").value }));
  byId("text").value = "";
});
