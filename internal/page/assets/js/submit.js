"use strict";
// A file is checked as soon as it is chosen or dropped, and sent with its progress. Without this
// script the same form does both.
(() => {
  const form = document.getElementById("upload");
  if (!form) return;
  const part = (id) => document.getElementById(id);
  const file = part("file"), drop = part("drop"), check = part("check"), send = part("send"), said = part("said"), cancel = part("cancel");
  const beginning = 65537; // a byte more than is checked says that the file is longer
  let checking, sending, sent; // sent is the file that the key of the form was used for
  part("only").hidden = true;
  for (const hint of form.querySelectorAll(".scripted")) hint.hidden = false;

  const say = (text, look = "") => {
    said.textContent = text;
    said.className = look; // alert: it went wrong; unseen: it is shown already
  };
  const size = (n) => {
    let unit = 0;
    for (; n >= 1024 && unit < 3; unit++) n /= 1024;
    return (unit && n < 100 ? n.toFixed(1) : Math.round(n)) + " " + ["B", "KiB", "MiB", "GiB"][unit];
  };
  const time = (s) => (s < 120 ? Math.ceil(s) + " s" : s < 7200 ? Math.round(s / 60) + " min" : Math.round(s / 3600) + " h");

  const mark = (f) => [f.name, f.size, f.lastModified].join("/");

  const look = async () => {
    const chosen = file.files[0];
    if (sending) return;
    checking?.abort();
    check.replaceChildren();
    send.textContent = "Upload";
    if (!chosen) return say("");
    // Another file is another submission; the same one, chosen again, is submitted once.
    if (sent && sent !== mark(chosen)) {
      form.elements.key.value = Array.from(crypto.getRandomValues(new Uint8Array(16)), (n) => n.toString(16).padStart(2, "0")).join("");
      sent = undefined;
    }
    const mine = (checking = new AbortController());
    say("Checking " + chosen.name + " (" + size(chosen.size) + ") …");
    const body = new FormData(form);
    body.set("file", chosen.slice(0, beginning), chosen.name);
    try {
      const got = await fetch("/submit/check", { method: "POST", body, headers: { "X-Part": "check" }, signal: mine.signal });
      if (got.redirected) return location.assign(got.url);
      const text = await got.text();
      if (mine.signal.aborted) return;
      check.replaceChildren(...new DOMParser().parseFromString(text, "text/html").querySelectorAll("body > section, body > .alert, main .alert"));
      const errors = Number(check.querySelector("[data-errors]")?.dataset.errors || 0);
      send.textContent = errors ? "Upload anyway" : "Upload";
      say(check.querySelector(".tag")?.textContent || (got.ok ? "" : "The check failed."), "unseen");
    } catch (failed) {
      if (failed.name !== "AbortError") say("The check failed: the receiver did not answer.", "alert");
    }
  };
  file.addEventListener("change", look);
  // A press on a button ends the writing in a field: what is below must not move under the pointer.
  let later;
  part("metadata").addEventListener("change", () => {
    clearTimeout(later);
    later = setTimeout(look, 500);
  });
  if (file.files.length) look(); // chosen before the page was loaded again

  const holdsFiles = (e) => e.dataTransfer?.types.includes("Files");
  addEventListener("dragover", (e) => {
    if (!holdsFiles(e)) return;
    e.preventDefault(); // else the browser would open a file that is dropped beside the form
    drop.classList.add("over");
  });
  addEventListener("dragleave", (e) => { if (!e.relatedTarget) drop.classList.remove("over"); });
  addEventListener("drop", (e) => {
    if (!holdsFiles(e)) return;
    e.preventDefault();
    drop.classList.remove("over");
    if (sending || !e.dataTransfer.files.length) return;
    const one = new DataTransfer();
    one.items.add(e.dataTransfer.files[0]);
    file.files = one.files;
    file.dispatchEvent(new Event("change"));
    send.focus();
  });

  // A receiver that was started anew without tokens takes no form of before. The key must stay, so
  // the form is not loaded again, but its token is.
  const renew = async () => {
    const at = new URLSearchParams({ source: form.elements.source.value, object: form.elements.object.value });
    try {
      const got = await fetch("/submit?" + at, { signal: AbortSignal.timeout(12000) });
      const token = new DOMParser().parseFromString(await got.text(), "text/html").querySelector("#upload [name=csrf]");
      if (token) form.elements.csrf.value = token.value;
    } catch { /* the upload says what is wrong */ }
  };

  const hold = (e) => e.preventDefault();
  const end = () => {
    sending = undefined;
    part("progress").hidden = cancel.hidden = true;
    send.removeAttribute("aria-disabled");
    file.disabled = false;
    removeEventListener("beforeunload", hold);
  };
  form.addEventListener("submit", async (e) => {
    e.preventDefault();
    if (sending || !file.files.length) return;
    checking?.abort();
    const request = (sending = new XMLHttpRequest()), marks = [];
    if (sent) await renew();
    const body = new FormData(form);
    part("progress").hidden = cancel.hidden = false;
    send.setAttribute("aria-disabled", "true"); // it keeps the focus, so that a second press does nothing
    file.disabled = true;
    sent = mark(file.files[0]);
    part("bar").value = 0;
    part("figures").textContent = "";
    addEventListener("beforeunload", hold);
    say("Uploading " + file.files[0].name + " …");
    request.upload.addEventListener("progress", (p) => {
      const now = performance.now();
      if (marks.length && now - marks.at(-1).at < 250 && p.loaded < p.total) return;
      marks.push({ at: now, loaded: p.loaded });
      if (marks.length > 20) marks.shift(); // the rate is that of the last five seconds
      const first = marks[0], rate = now > first.at ? ((p.loaded - first.loaded) * 1000) / (now - first.at) : 0;
      part("bar").value = p.total ? p.loaded / p.total : 0;
      part("figures").textContent = size(p.loaded) + " of " + size(p.total) + (rate ? " · " + size(rate) + "/s · " + time((p.total - p.loaded) / rate) + " left" : "");
    });
    request.upload.addEventListener("load", () => say("The file is sent. Waiting for the platform …"));
    request.addEventListener("load", () => {
      let answer = {};
      try { answer = JSON.parse(request.responseText); } catch { /* it is no answer of the page */ }
      end();
      if (answer.location) return location.assign(answer.location);
      if (request.status === 401) return location.assign("/signin?next=" + encodeURIComponent(location.pathname + location.search));
      if (answer.key && answer.key !== form.elements.key.value) {
        form.elements.key.value = answer.key;
        sent = undefined;
      }
      say((answer.detail || answer.title || "The receiver answered " + request.status + ".") + (answer.request_id ? " Request " + answer.request_id + "." : ""), "alert");
    });
    request.addEventListener("error", () => {
      end();
      say("The connection ended before the receiver answered. Upload again: the file is submitted once, however often it is sent.", "alert");
    });
    request.addEventListener("abort", () => {
      end();
      say("Cancelled. Nothing is submitted unless the whole file had been sent.", "alert");
    });
    request.open("POST", "/submit");
    request.setRequestHeader("Accept", "application/json");
    request.send(body);
  });
  cancel.addEventListener("click", () => { sending?.abort(); send.focus(); });
})();
