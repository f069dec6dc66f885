"use strict";
// A view that is looked at is fetched again when the receiver says that something has changed. A
// hidden one holds no connection: a browser has six for all views of one receiver.
(() => {
  let source;
  const follow = () => {
    const wanted = document.getElementById("live") && !document.hidden;
    if (wanted && !source) {
      source = new EventSource("/live");
      source.addEventListener("changed", () => document.body.dispatchEvent(new Event("live")));
      source.addEventListener("error", () => { if (source?.readyState === EventSource.CLOSED) source = undefined; });
    } else if (!wanted && source) {
      source.close();
      source = undefined;
    }
  };
  document.addEventListener("visibilitychange", () => {
    follow();
    if (source) document.body.dispatchEvent(new Event("live"));
  });
  addEventListener("pagehide", () => { source?.close(); source = undefined; });
  addEventListener("pageshow", follow);
  document.addEventListener("htmx:afterRequest", follow); // each view is fetched now and then anyway

  // What is being read or written stays: opened details stay open, and where the focus is in a
  // field the element is left as it is.
  document.addEventListener("htmx:oobBeforeSwap", (e) => {
    const old = e.detail.target, focus = document.activeElement;
    if (old.contains(focus) && /^(INPUT|SELECT|TEXTAREA)$/.test(focus.tagName)) {
      e.detail.shouldSwap = false;
      return;
    }
    for (const open of old.querySelectorAll("details[id][open]")) {
      e.detail.fragment.querySelector("#" + CSS.escape(open.id))?.setAttribute("open", "");
    }
    if (old.contains(focus) && focus.id) {
      setTimeout(() => document.getElementById(focus.id)?.focus({ preventScroll: true }));
    }
  });
})();
