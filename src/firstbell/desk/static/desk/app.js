// The desk's own behaviour. Every page works without it; nothing personal is ever stored in the browser.

const root = document.documentElement;
try { const theme = localStorage.getItem("theme"); if (theme) root.dataset.theme = theme; } catch { /* storage closed: follow the system */ }

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-theme-switch]");
  if (!button) return;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try { localStorage.setItem("theme", root.dataset.theme); } catch { /* not kept */ }
});

// Lists: j next, k back, e open the verdict, s the student, ? help.
const rows = () => [...document.querySelectorAll("[data-row]")];
let current = null; // the key of the row the keyboard is on; survives a list fetched again
function mark(row) {
  rows().forEach((r) => r.classList.toggle("current", r === row));
  if (row) { current = row.dataset.row; row.querySelector("a, button").focus({ preventScroll: true }); row.scrollIntoView({ block: "nearest" }); }
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog[open]")) return;
  // On a keyboard of other letters the key's place counts: what would be j there.
  const plain = /^[\x20-\x7e]$/.test(event.key);
  const key = plain ? event.key : event.key === "؟" ? "?" : event.code.startsWith("Key") ? event.code.slice(3).toLowerCase() : event.key;
  const list = rows();
  const at = list.findIndex((r) => r.dataset.row === current);
  const go = (selector) => { const target = (list[at] || list[0])?.querySelector(selector); if (target) target.click(); };
  if (key === "j") mark(list[Math.min(at + 1, list.length - 1)]);
  else if (key === "k") mark(list[Math.max(at - 1, 0)]);
  else if (key === "e") go("[data-verdict]");
  else if (key === "s") go("[data-student]");
  else if (key === "?") document.getElementById("keys")?.showModal();
  else {
    const choice = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
    if (!choice) return;
    choice.checked = true; choice.dispatchEvent(new Event("change", { bubbles: true }));
    document.querySelector("[data-reason]")?.focus();
  }
  event.preventDefault();
});
document.addEventListener("click", (event) => { if (event.target.closest("[data-close]")) event.target.closest("dialog")?.close(); });

// A toast with an undo stands for ten seconds, longer while somebody is on it.
function countDown(toast) {
  if (!toast || toast.dataset.running) return;
  toast.dataset.running = "1";
  let left = 10;
  const timer = setInterval(() => {
    if (!toast.matches(":hover, :focus-within")) left -= 1;
    if (left <= 0 || !toast.isConnected) { clearInterval(timer); toast.remove(); }
  }, 1000);
}
countDown(document.querySelector("[data-toast]"));

// Live: the server says that something changed, the page asks for its lists again.
const live = document.querySelector("[data-live]");
if (live) {
  const changed = () => { if (!document.querySelector("#lists textarea")?.value) document.body.dispatchEvent(new CustomEvent("firstbell:changed")); };
  let poll = null, seen = null;
  const ask = async () => {
    try {
      const answer = await fetch(live.dataset.poll, { headers: { "X-Live": "1" } });
      if (answer.status === 401) { location.reload(); return; }
      const { number } = await answer.json();
      if (seen !== null && number !== seen) changed();
      seen = number;
    } catch { /* no network: the next poll may have one */ }
  };
  const stream = new EventSource(live.dataset.live);
  stream.addEventListener("changed", changed);
  stream.addEventListener("ended", () => { stream.close(); location.reload(); });
  stream.addEventListener("error", () => { if (stream.readyState === EventSource.CLOSED && !poll) poll = setInterval(ask, 20000); });
  addEventListener("pagehide", () => stream.close());
}
document.body.addEventListener("htmx:afterSwap", () => {
  const row = rows().find((r) => r.dataset.row === current);
  rows().forEach((r) => r.classList.toggle("current", r === row));
  countDown(document.querySelector("[data-toast]"));
});

// Back after signing out shows nothing: a page out of the browser's own memory asks the server again.
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

// Whether the session still stands; a form written on before signing in anew gets the new session's token.
async function stillSignedIn(form) {
  const answer = await fetch(form.dataset.alive, { headers: { "X-Live": "1" }, redirect: "manual" });
  if (answer.ok) form.elements.csrfmiddlewaretoken.value = answer.headers.get("X-Form-Token");
  return answer.ok;
}

// A draft survives the session's end: it is in the form, and signing in again happens in another tab.
const draft = document.querySelector("[data-draft]");
if (draft) {
  const form = draft.closest("form");
  form.addEventListener("submit", async (event) => {
    if (form.dataset.checked) return;
    event.preventDefault();
    const submitter = event.submitter;
    let there = true;
    try { there = await stillSignedIn(form); } catch { there = false; }
    if (there) { form.dataset.checked = "1"; form.requestSubmit(submitter); return; }
    document.getElementById("draft-kept").hidden = false;
    document.getElementById("draft-kept").querySelector("a").focus();
  });
}

// Files can be dropped on the drop zone.
const drop = document.querySelector("[data-drop]");
if (drop) {
  const input = drop.querySelector("input[type=file]");
  for (const name of ["dragover", "dragleave", "drop"]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", name === "dragover");
      if (name === "drop") { input.files = event.dataTransfer.files; input.dispatchEvent(new Event("change", { bubbles: true })); }
    });
  }
}

// The roll on bad radio: what was tapped stays on the page and is sent again until the server has it; the key makes a second send harmless.
const roll = document.querySelector("[data-roll]");
if (roll) {
  const status = document.getElementById("roll-status");
  roll.addEventListener("submit", async (event) => {
    if (event.submitter?.hasAttribute("formaction")) return; // a word about one student, not the roll
    event.preventDefault();
    const send = async () => {
      status.textContent = status.dataset.sending;
      try {
        if (!await stillSignedIn(roll)) { status.textContent = status.dataset.signedOut; return; }
        // HX-Request: a session that ended answers 401 instead of leading away from the page and what was tapped on it.
        const answer = await fetch(roll.action, { method: "POST", body: new FormData(roll), headers: { "HX-Request": "true" }, redirect: "manual" });
        if (answer.type === "opaqueredirect") { location.assign(roll.dataset.done); return; }
        status.textContent = answer.status === 401 ? status.dataset.signedOut : status.dataset.refused;
      } catch {
        status.textContent = status.dataset.waiting;
        setTimeout(send, 5000);
      }
    };
    send();
  });
}
