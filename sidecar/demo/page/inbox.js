// The inbox page. Texts reach the document through textContent only: a note is data, never markup.

const POLL_MS = 2000;
const TOAST_MS = 6000;
const GROUPS = [
  ["unsigned", "Unsigned AI drafts"],
  ["signed", "Signed"],
  ["discarded", "Discarded"],
  ["withdrawn", "Withdrawn"],
];
const STATE_LABEL = { unsigned: "Unsigned", signed: "Final", discarded: "Discarded", withdrawn: "Withdrawn" };
const EVIDENCE_HEADING = "WHERE IT STANDS IN THE NOTE";

const page = { open: null, listed: "", mode: "reading", active: null };
const byId = (id) => document.getElementById(id);

function element(tag, { text, ...attributes } = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  node.append(...children);
  return node;
}

function button(label, onClick, attributes = {}) {
  const node = element("button", { type: "button", text: label, ...attributes });
  node.addEventListener("click", onClick);
  return node;
}

// Everything is said to a screen reader; what the eye has seen already is not shown to it again.
function announce(message, { seen = false } = {}) {
  const live = byId("live");
  live.textContent = message;
  live.classList.toggle("unseen", seen);
  clearTimeout(page.fading);
  page.fading = setTimeout(() => live.classList.add("unseen"), TOAST_MS);
}

function when(instant) {
  if (!instant) return "";
  const moment = new Date(instant);
  const today = moment.toDateString() === new Date().toDateString();
  const date = today ? {} : { day: "numeric", month: "short" };
  return moment.toLocaleString("en-GB", { ...date, hour: "2-digit", minute: "2-digit" });
}

async function ask(url, options) {
  const answer = await fetch(url, options);
  const body = await answer.json();
  if (answer.ok) return body;
  const error = new Error(body.issue?.[0]?.diagnostics ?? "the server refused");
  error.status = answer.status;
  throw error;
}

// ---- the list -------------------------------------------------------------------------------

async function refresh() {
  const { drafts } = await ask("/inbox/drafts");
  const listed = JSON.stringify(drafts);
  if (listed === page.listed) return;
  announceArrivals(drafts);
  page.listed = listed;
  renderWorklist(drafts);
  await followOpenDraft(drafts);
}

function announceArrivals(drafts) {
  if (!page.listed) return;
  const known = new Set(JSON.parse(page.listed).map((draft) => draft.id));
  const arrived = drafts.filter((draft) => !known.has(draft.id)).length;
  if (arrived) announce(`${arrived} new ${arrived === 1 ? "draft" : "drafts"} in the inbox`);
}

async function followOpenDraft(drafts) {
  if (!page.open) {
    const wanted = location.hash.slice(1);
    const first = drafts.find((draft) => draft.id === wanted) ?? drafts.find((draft) => draft.state === "unsigned") ?? drafts[0];
    if (first) await open(first.id);
    return;
  }
  const current = drafts.find((draft) => draft.id === page.open.id);
  if (!current || current.version === page.open.version) return;
  if (page.mode === "reading") await open(current.id);
  else announce("This draft has a newer version: somebody changed it while you were working on it.");
}

function renderWorklist(drafts) {
  const groups = GROUPS.map(([state, label]) => [state, label, drafts.filter((draft) => draft.state === state)]);
  const shown = groups.filter(([state, , members]) => members.length || state === "unsigned");
  byId("worklist").replaceChildren(...shown.map((group) => renderGroup(...group)));
  document.title = `Inbox (${groups[0][2].length}) - Demo EHR`;
}

function renderGroup(state, label, drafts) {
  const section = element("section", { class: `group ${state}` });
  section.append(element("h2", {}, element("span", { text: label }), element("span", { class: "count", text: drafts.length })));
  if (!drafts.length) section.append(element("p", { class: "none", text: "None waiting" }));
  for (const members of Map.groupBy(drafts, (draft) => draft.patientId).values()) {
    section.append(element("h3", { text: members[0].patientName }));
    section.append(element("ul", {}, ...members.map((draft) => element("li", {}, entry(draft)))));
  }
  return section;
}

function entry(draft) {
  const node = button("", () => open(draft.id), { class: "entry", "data-draft": draft.id });
  if (page.open?.id === draft.id) node.setAttribute("aria-current", "true");
  node.append(
    element("span", { class: "entry-title", text: draft.sourceTitle ?? draft.title }),
    element("span", { class: "entry-detail", text: when(draft.updated) }),
  );
  return node;
}

// ---- one draft beside its source --------------------------------------------------------------

async function open(id) {
  show(await ask(`/inbox/drafts/${encodeURIComponent(id)}`));
}

function show(draft) {
  const another = page.open?.id !== draft.id;
  Object.assign(page, { open: draft, mode: "reading", active: null });
  history.replaceState(null, "", `#${draft.id}`);
  byId("empty").hidden = true;
  byId("chart").hidden = false;
  renderPatient(draft.patient);
  renderDraft(draft);
  renderSource(draft);
  renderActions(draft);
  for (const node of document.querySelectorAll(".entry")) {
    if (node.dataset.draft === draft.id) node.setAttribute("aria-current", "true");
    else node.removeAttribute("aria-current");
  }
  if (another) for (const id of ["draft", "source"]) byId(id).scrollTop = 0;
}

function renderPatient(patient) {
  const facts = [
    ["Born", patient.birthDate],
    ["Sex", patient.gender],
    ["MRN", patient.mrn],
  ].filter(([, value]) => value);
  byId("patient").replaceChildren(
    element("strong", { text: patient.name }),
    ...facts.map(([label, value]) => element("span", {}, element("i", { text: label }), ` ${value}`)),
  );
}

function renderDraft(draft) {
  byId("draft-title").textContent = draft.title;
  const chip = byId("draft-state");
  chip.textContent = STATE_LABEL[draft.state];
  chip.className = `chip ${draft.state}`;
  document.querySelector(".pane.draft").classList.toggle("closed", draft.state !== "unsigned");
  renderNotice(draft);
  const located = new Set(draft.evidence.map((item) => item.number));
  byId("draft").replaceChildren(element("div", { class: "text" }, ...draftLines(draft.text, located)));
}

function renderNotice(draft) {
  const [style, message] = {
    unsigned: ["ai", "AI draft, not reviewed. Check it against the note before signing. A number in brackets shows where a line stands in the note."],
    signed: ["final", `Final. Signed by ${draft.signer ?? "a clinician"}, ${when(draft.updated)}. Prepared with AI.`],
    discarded: ["gone", `Discarded ${when(draft.updated)}. Not part of the record.`],
    withdrawn: ["gone", `Withdrawn ${when(draft.updated)}, before anyone signed it.`],
  }[draft.state];
  const notice = byId("notice");
  notice.className = `notice ${style}`;
  notice.textContent = message;
}

function draftLines(text, located) {
  let below = false;
  return text.split("\n").map((line, index) => {
    below ||= line === EVIDENCE_HEADING;
    const node = element("div", { class: `line ${lineClass(line, index, below)}`.trim() });
    node.append(...withMarks(line, located));
    return node;
  });
}

function lineClass(line, index, below) {
  if (index === 0 && line.startsWith("AI DRAFT")) return "label";
  if (/^(NOT CARRIED OVER|REMOVED BY CHECKS)/.test(line)) return "heading caution";
  if (/^[A-Z][A-Z0-9 ,&/()'-]{3,}$/.test(line)) return below ? "heading fine" : "heading";
  if (line.startsWith("! ")) return "missing";
  return below ? "fine" : "";
}

function withMarks(line, located) {
  const parts = line.split(/(\[\d+\])/);
  return parts.map((part) => {
    const number = Number(part.slice(1, -1));
    return /^\[\d+\]$/.test(part) && located.has(number) ? mark(number) : document.createTextNode(part || "");
  });
}

function mark(number) {
  const node = element("a", { class: "evidence", href: "#source", text: `[${number}]`, "data-evidence": number });
  node.setAttribute("aria-label", `Evidence ${number}: show it in the note`);
  node.addEventListener("click", (event) => {
    event.preventDefault();
    follow(number);
  });
  return node;
}

function follow(number) {
  page.active = number;
  for (const node of document.querySelectorAll(".evidence")) {
    node.classList.toggle("active", Number(node.dataset.evidence) === number);
  }
  renderSource(page.open);
  const sentence = document.querySelector("#source mark");
  sentence?.scrollIntoView({ block: "center", behavior: "instant" });
  announce(sentence ? `Evidence ${number}: ${sentence.textContent}` : "", { seen: true });
}

// ---- the source -------------------------------------------------------------------------------

function renderSource({ source, evidence }) {
  const notice = byId("source-notice");
  notice.hidden = true;
  if (!source) {
    byId("source-title").textContent = "Source note";
    byId("source-detail").textContent = "";
    byId("source").replaceChildren(element("p", { class: "none", text: "The source of this draft is not in the chart." }));
    return;
  }
  byId("source-title").textContent = source.title;
  byId("source-detail").textContent = ["Source note", source.author, when(source.date), `version ${source.version}`].filter(Boolean).join(" · ");
  if (source.status !== "current" || source.changed) {
    notice.hidden = false;
    notice.textContent = source.status === "current"
      ? "The note was changed after this draft was made."
      : "The note is not current any more.";
  }
  const content = source.text === null
    ? element("p", { class: "none", text: "This format cannot be shown here." })
    : element("div", { class: "text" }, ...sourcePieces(source.text, evidence));
  byId("source").replaceChildren(content);
}

// Offsets count Unicode code points, JavaScript strings count UTF-16 units: take the text apart first.
function sourcePieces(text, evidence) {
  const points = Array.from(text);
  const borders = new Set([0, points.length, ...evidence.flatMap((item) => [item.start, item.end])]);
  const cuts = [...borders].sort((a, b) => a - b);
  return cuts.slice(1).map((end, index) => {
    const start = cuts[index];
    const covering = evidence.filter((item) => item.start <= start && end <= item.end).map((item) => item.number);
    const shown = points.slice(start, end).join("");
    return piece(start === 0 ? shown.replace(/^\s*\n/, "") : shown, covering);
  });
}

function piece(text, covering) {
  if (!covering.length) return document.createTextNode(text);
  if (covering.includes(page.active)) return element("mark", { text, "data-evidence": page.active });
  return element("span", { class: "cited", text, title: `Carried over: [${covering.join("][")}]` });
}

// ---- decisions ----------------------------------------------------------------------------------

function renderActions(draft) {
  const bar = byId("actions");
  bar.hidden = draft.state !== "unsigned";
  bar.replaceChildren(
    button("Sign", () => decide("sign"), { class: "primary" }),
    button("Edit and sign", edit),
    button("Discard", confirmDiscard, { class: "quiet" }),
  );
}

function edit() {
  page.mode = "editing";
  const area = element("textarea", { "aria-label": "Text of the draft", spellcheck: "true", wrap: "soft" });
  area.value = page.open.text;
  byId("draft").replaceChildren(area);
  byId("actions").replaceChildren(
    button("Sign edited text", () => decide("edit-and-sign", area.value), { class: "primary" }),
    button("Cancel", cancel),
  );
  area.focus();
  area.setSelectionRange(0, 0);
  area.scrollTop = 0;
}

function confirmDiscard() {
  page.mode = "confirming";
  const keep = button("Keep it", cancel);
  byId("actions").replaceChildren(
    element("span", { class: "question", text: "Discard this draft? It will be marked entered in error." }),
    button("Discard draft", () => decide("discard"), { class: "danger" }),
    keep,
  );
  keep.focus();
}

async function cancel() {
  await open(page.open.id); // and not what the page still has: it may have changed meanwhile
  byId("actions").querySelector("button")?.focus();
}

const DONE = { sign: "Signed. The document is final.", "edit-and-sign": "Edited and signed. The document is final.", discard: "Discarded." };

async function decide(action, text) {
  for (const node of byId("actions").querySelectorAll("button")) node.disabled = true;
  try {
    const body = JSON.stringify({ version: page.open.version, text });
    const headers = { "Content-Type": "application/json" };
    show(await ask(`/inbox/drafts/${encodeURIComponent(page.open.id)}/${action}`, { method: "POST", headers, body }));
    announce(DONE[action]);
    byId("draft").focus();
    await refresh();
  } catch (error) {
    for (const node of byId("actions").querySelectorAll("button")) node.disabled = false;
    announce(error.status === 412 ? "Not done: this draft has a newer version. Open it again." : `Not done: ${error.message}.`);
  }
}

async function poll() {
  try {
    await refresh();
    document.body.classList.remove("offline");
  } catch {
    document.body.classList.add("offline");
  }
  setTimeout(poll, POLL_MS);
}

poll();
