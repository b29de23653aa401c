"use strict";
/* Keys that do what a link or button with [data-keys] does. They rest while somebody types or a dialog is open,
   and for good in this browser once the box in the help is cleared. */
(() => {
  const help = document.getElementById("keys-dialog");
  if (!help) return;
  const switchedOn = document.getElementById("keys-on");
  const search = document.getElementById("search");
  const TYPED_WITHIN = 1200;
  const STORED = "wa-keys";
  let before = { key: "", at: 0 };

  switchedOn.checked = localStorage.getItem(STORED) !== "off";
  switchedOn.addEventListener("change", () => localStorage.setItem(STORED, switchedOn.checked ? "on" : "off"));
  document.querySelector("[data-opens=keys-dialog]").hidden = false;

  const find = (keys) => document.querySelector(`[data-keys="${CSS.escape(keys)}"]`);
  document.addEventListener("keydown", (event) => {
    const { key, target, timeStamp } = event;
    const isTyping = target.isContentEditable || target.matches?.("input, textarea, select");
    const isOurs = !event.ctrlKey && !event.metaKey && !event.altKey && !event.isComposing && !event.repeat;
    if (!switchedOn.checked || isTyping || !isOurs || document.querySelector("dialog[open]")) return;
    const found = (timeStamp - before.at < TYPED_WITHIN && find(`${before.key} ${key}`)) || find(key);
    before = { key, at: timeStamp };
    if (!found) return;
    event.preventDefault();
    if (key === "/" && search) search.focus();
    else found.click();
  });
  if (search && location.hash === "#search") search.focus();
})();
