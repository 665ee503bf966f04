"use strict";

// Everything is put into the page as text (textContent), never as HTML: what is shown was typed by operators, callers
// and nodes.

const byId = (id) => document.getElementById(id);

function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

function show(id, ...children) {
  byId(id).replaceChildren(...children);
}

const none = (text) => element("p", "none", text);

function table(heads, rows) {
  const cell = (kind, column, content) => element(kind, column.className || "", content);
  const head = element("tr", "", ...heads.map((column) => cell("th", column, column.title)));
  const body = rows.map((row) => element("tr", "", ...row.map((content, i) => cell("td", heads[i], content))));
  return element("table", "", element("thead", "", head), element("tbody", "", ...body));
}

const isSet = (time) => time && !time.startsWith("0001-");
const clock = (time) => time.slice(0, 19).replace("T", " ");

function span(seconds) {
  seconds = Math.max(0, Math.round(seconds));
  if (seconds < 60) return seconds + " s";
  if (seconds < 3600) return Math.floor(seconds / 60) + " min " + (seconds % 60) + " s";
  if (seconds < 86400) return Math.floor(seconds / 3600) + " h " + Math.floor(seconds % 3600 / 60) + " min";
  return Math.floor(seconds / 86400) + " d " + Math.floor(seconds % 86400 / 3600) + " h";
}

async function ask(path) {
  const reply = await fetch("/page/" + path, { signal: AbortSignal.timeout(5000) });
  const value = await reply.json();
  if (!reply.ok) throw new Error(value.error || reply.statusText);
  return value;
}

function lamp(className, text) {
  byId("state").className = "lamp " + className;
  byId("state").textContent = text;
  document.title = (className === "good" ? "" : "! ") + "Ringmaster: " + text;
}

const silentAfter = 15; // seconds: three heartbeats

function showStatus(status) {
  const now = Date.parse(status.now);
  const ago = (time) => (now - Date.parse(time)) / 1000;
  const problems = status.problems || [], nodes = status.nodes || [], warnings = status.warnings || [];
  const rows = Object.fromEntries((status.sizes || []).map((size) => [size.table, size.rows]));
  const expected = nodes.filter((node) => node.in_service);
  const heard = expected.filter((node) => isSet(node.heard_at) && ago(node.heard_at) <= silentAfter);

  byId("version").textContent = "ringmaster " + status.version;
  byId("revision").textContent = status.ready ? status.revision : "–";
  byId("age").textContent = isSet(status.loaded_at) ? span(ago(status.loaded_at)) : "–";
  byId("numbers").textContent = (rows.service_number ?? 0).toLocaleString("en");
  byId("services").textContent = (rows.service ?? 0).toLocaleString("en");
  byId("heard").textContent = heard.length + " of " + expected.length;
  byId("clock").textContent = clock(status.now).slice(11);

  if (!status.ready) lamp("bad", "not ready");
  else if (warnings.length) lamp("warn", "serving, with warnings");
  else if (problems.length) lamp("warn", "serving, configuration problems");
  else lamp("good", "serving");

  show("warnings", ...warnings.map((text) => element("li", "", text)));
  byId("problem-count").textContent = problems.length || "";
  show("problems", problems.length === 0
    ? none("None. Every row is in use.")
    : table([{ title: "table" }, { title: "row" }, { title: "reason", className: "wrap" }], problems.map((p) => [p.table, p.key, p.reason])));
  show("nodes", nodes.length === 0
    ? none("No node is configured. Add a row to the table node.")
    : table([{ title: "node" }, { title: "state" }, { title: "channels", className: "number" }, { title: "last heartbeat" }], nodes.map((node) => {
      let state = element("span", "quiet", "out of service");
      if (node.in_service) {
        if (!isSet(node.heard_at)) state = element("span", "quiet", "never heard of");
        else if (ago(node.heard_at) <= silentAfter) state = element("span", "good", "in service");
        else state = element("span", "bad", "silent");
      }
      return [node.name, state, node.channels + " of " + node.capacity, isSet(node.heard_at) ? span(ago(node.heard_at)) + " ago" : "–"];
    })));
  show("sizes", element("dl", "", ...(status.sizes || []).map((size) =>
    element("div", "", element("dt", "", size.table), element("dd", "", size.rows.toLocaleString("en"))))));
}

const outcomeClass = { answered: "good", fallback: "bad", unreachable: "bad", busy: "warn", no_answer: "warn" };

function showCalls(calls) {
  if (calls.length === 0) {
    show("calls", none("No call has ended yet."));
    return;
  }
  show("calls", table(
    [{ title: "started, UTC", className: "time" }, { title: "caller" }, { title: "called" }, { title: "service" }, { title: "outcome" },
      { title: "talk", className: "number" }, { title: "cause", className: "number" }, { title: "node" }, { title: "way", className: "wrap" }, { title: "" }],
    calls.map((call) => {
      const why = element("button", "small", "why?");
      why.title = "Explain this call at its time, on the configuration of now";
      why.addEventListener("click", () => {
        const form = byId("question");
        form.called.value = call.called;
        form.caller.value = call.caller;
        form.trunk.value = "";
        form.at.value = call.started_at.slice(0, 19);
        form.requestSubmit();
        byId("explain").scrollIntoView({ behavior: "smooth" });
      });
      return [clock(call.started_at), call.caller || "unknown", call.called, call.service || "–",
        element("span", outcomeClass[call.outcome] || "", call.outcome), call.talk_seconds ? call.talk_seconds.toFixed(1) + " s" : "–",
        String(call.cause), call.node, element("span", "quiet", call.path), why];
    })));
}

function showExplanation(explanation) {
  const items = (explanation.decisions || []).map((decision) => {
    const title = element("div", "", element("strong", "", decision.step || "before the script"));
    if (decision.sib) title.append(" ", element("span", "quiet", decision.sib));
    if (decision.exit) title.append(" → ", decision.exit);
    if (decision.next) title.append(element("span", "quiet", ", then " + decision.next));
    const item = element("li", "", title, element("div", "", decision.reason));
    if (decision.table) item.append(element("div", "row", decision.table + (decision.key ? ": " + decision.key : "")));
    for (const lost of decision.beaten || []) item.append(element("p", "beaten", "also matched: " + lost));
    return item;
  });
  const told = explanation.instructions || [];
  const verdict = element("div", "verdict",
    element("p", "quiet", "The node is told (revision " + explanation.revision + ", " + clock(explanation.at) + " UTC"
      + (explanation.service ? ", service " + explanation.service : "") + "):"),
    ...told.map((line) => element("p", "", element("strong", "", line))));
  show("explanation", element("ol", "", ...items), verdict);
}

byId("question").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const query = new URLSearchParams({ called: form.called.value, caller: form.caller.value, trunk: form.trunk.value });
  if (form.at.value) query.set("at", form.at.value + (form.at.value.length === 16 ? ":00Z" : "Z"));
  try {
    showExplanation(await ask("explain?" + query));
  } catch (error) {
    show("explanation", element("p", "hint bad", error.message));
  }
});

async function refresh() {
  try {
    showStatus(await ask("status"));
  } catch (error) {
    lamp("bad", "no answer from the engine");
    show("warnings", element("li", "", "What stands below is old: " + error.message));
  }
  try {
    showCalls(await ask("calls?limit=25"));
  } catch (error) {
    show("calls", none("The last calls can't be read: " + error.message));
  }
  setTimeout(refresh, document.hidden ? 15000 : 2000);
}

// A link may carry a question: /?called=08001234567&caller=+49301112222
for (const [name, value] of new URLSearchParams(location.search)) {
  const field = byId("question").elements[name];
  if (field) field.value = value;
}
if (byId("question").called.value) byId("question").requestSubmit();

refresh();
