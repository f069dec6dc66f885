"use strict";
// The tab's title and icon follow the state of the receiver. One that does not answer is not well.
(() => {
  const follow = () => {
    const state = document.querySelector("#status > [data-level]");
    if (!state) return;
    document.getElementById("icon").href = `/assets/icon-${state.dataset.level}.svg`;
    document.title = document.title.replace(/^[✓!✗] /, "").replace(/^/, `${state.dataset.mark} `);
  };
  const silent = (e) => {
    const state = document.querySelector("#status > [data-level]");
    if (e.detail.elt.id !== "live" || !state || state.dataset.silent) return;
    state.className = "state error";
    Object.assign(state.dataset, { level: "error", mark: "✗", silent: "true" });
    state.querySelector("img").src = "/assets/icon-error.svg";
    state.querySelector("strong").textContent = "Error";
    state.querySelector("p span").textContent = "The receiver does not answer. This page shows what it said last.";
    state.querySelector("details")?.remove();
    follow();
  };
  document.addEventListener("htmx:oobAfterSwap", (e) => { if (e.detail.target.id === "status") follow(); });
  document.addEventListener("htmx:sendError", silent);
  document.addEventListener("htmx:timeout", silent);
  document.addEventListener("htmx:responseError", silent);

  // A countdown runs each second; without scripts its text is the time itself.
  const length = (s) => s < 120 ? `${s} s` : s < 7200 ? `${Math.floor(s / 60)} min` : `${Math.floor(s / 3600)} h`;
  const count = () => {
    for (const t of document.querySelectorAll("[data-countdown] time")) {
      const left = Math.round((new Date(t.dateTime) - Date.now()) / 1000);
      t.textContent = left > 0 ? `in ${length(left)}` : "now";
    }
  };
  setInterval(count, 1000);
  document.addEventListener("htmx:oobAfterSwap", count);
  count();
})();
