"use strict";
/* What HTML and htmx cannot do: dialogs, times that keep counting, polls that rest in hidden tabs, copying.
   Every page works without it. State stays on the server. */
(() => {
  const meta = (name) => JSON.parse(document.querySelector(`meta[name="${name}"]`).content);
  const words = meta("wa-words");
  const skew = words.now * 1000 - Date.now();
  const now = () => Date.now() + skew;
  const status = document.getElementById("status");
  const live = document.getElementById("live");
  const say = (text) => { status.textContent = text; };
  const on = (type, selector, act) => document.addEventListener(type, (event) => {
    const found = event.target.closest?.(selector);
    if (found) act(found, event);
  });

  // the server shows times in the reader's zone once it has been told
  if (!document.cookie.includes(`${words.zone_cookie}=`)) {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    const locked = words.zone_cookie.startsWith("__Host-") ? ";secure" : "";
    if (zone) document.cookie = `${words.zone_cookie}=${encodeURIComponent(zone)};path=/;max-age=31536000;samesite=lax${locked}`;
  }

  // on a phone the place where one is may lie beyond the edge of its row
  const here = document.querySelector(".tabs [aria-current]");
  if (here) here.parentElement.scrollLeft = here.offsetLeft - here.parentElement.offsetLeft - 32;

  /* --- dialogs: what opened one gets the focus back, or the page's heading when it is gone --- */
  const open = (dialog, opener) => {
    if (!dialog || dialog.open) return;
    dialog.opener = opener;
    dialog.showModal();
    dialog.append(live); // what lies outside of a modal dialog is not read out
  };
  on("click", "[data-opens]", (opener, event) => {
    const dialog = document.getElementById(opener.dataset.opens);
    if (!dialog) return;
    if (opener.type !== "submit") event.preventDefault();
    open(dialog, opener);
  });
  on("click", "[data-closes]", (button, event) => {
    const dialog = button.closest("dialog");
    if (!dialog) return;
    event.preventDefault();
    dialog.close();
  });
  document.addEventListener("close", (event) => {
    const dialog = event.target;
    if (!dialog.matches?.("dialog")) return;
    document.body.append(live);
    dialog.querySelector("form[data-on-close]")?.requestSubmit();
    const start = dialog.querySelector("template[data-start]"); // what it shows when it opens next
    if (start) dialog.querySelector(start.dataset.start).replaceWith(start.content.cloneNode(true));
    const opener = dialog.opener?.closest("details.menu")?.querySelector("summary") ?? dialog.opener;
    const back = opener?.isConnected ? opener : document.querySelector("h1");
    if (back?.matches("h1")) back.tabIndex = -1;
    back?.focus();
    htmx.trigger(document.body, "wa:visible");
  }, true);

  /* --- menus close on a click elsewhere and on Escape --- */
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(event.target) || event.target.closest(".menu > div .button")) menu.open = false;
    }
  });
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && document.querySelector("details.menu[open]");
    if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
  });

  /* --- small things --- */
  on("click", "[data-dismiss]", (button) => button.closest(".notice").remove());
  on("click", "[data-reveals]", (button) => {
    const input = document.getElementById(button.dataset.reveals);
    input.type = input.type === "password" ? "text" : "password";
    button.setAttribute("aria-pressed", String(input.type === "text"));
  });
  on("click", "[data-copies]", async (button) => {
    const text = button.closest("[data-copyable]").querySelector("code, [data-value]");
    await navigator.clipboard.writeText(text.dataset.value ?? text.textContent.trim());
    const label = button.querySelector("span");
    const before = label.textContent;
    label.textContent = words.copied;
    say(words.copied);
    setTimeout(() => { label.textContent = before; }, 2000);
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post") return;
    if (form.dataset.sent) return event.preventDefault();
    form.dataset.sent = "1"; // one click, one request
    addEventListener("pageshow", () => { delete form.dataset.sent; }, { once: true });
  });
  // browsers lend the clipboard to https and to this machine only
  const works = `[data-reveals][hidden]${navigator.clipboard ? ", [data-copies][hidden]" : ""}`;
  const dress = (root) => {
    for (const button of root.querySelectorAll(works)) button.hidden = false;
  };

  /* --- times that keep counting --- */
  const age = (seconds) => {
    if (seconds < 5) return words.just_now;
    for (const [unit, size, limit] of [["s", 1, 60], ["min", 60, 3600], ["h", 3600, 172800]]) {
      if (seconds < limit) return words.ago[unit].replace("%s", Math.floor(seconds / size));
    }
    return words.ago.d.replace("%s", Math.floor(seconds / 86400));
  };
  const left = (seconds) => {
    if (seconds < 60) return words.span.s.replace("%s", Math.max(0, Math.ceil(seconds)));
    if (seconds < 3600) return words.span.min.replace("%s", Math.ceil(seconds / 60));
    return words.span.h.replace("%s", Math.ceil(seconds / 3600));
  };
  const write = (element, text) => { if (element.textContent !== text) element.textContent = text; };
  const count = () => {
    for (const time of document.querySelectorAll("time[data-ago]")) write(time, age((now() - Date.parse(time.dateTime)) / 1000));
    for (const time of document.querySelectorAll("time[data-until]")) write(time, left((Date.parse(time.dateTime) - now()) / 1000));
    for (const clock of document.querySelectorAll("[data-countdown]")) {
      const seconds = Math.max(0, Math.ceil((Date.parse(clock.dataset.countdown) - now()) / 1000));
      clock.querySelector("progress").value = seconds;
      if (seconds === 10 && clock.dataset.told !== clock.dataset.countdown) {
        clock.dataset.told = clock.dataset.countdown;
        say(words.ten_seconds);
      }
    }
  };
  setInterval(count, 1000);

  /* --- polls: at rest in a hidden tab, honest when they fail --- */
  const misses = new WeakMap();
  const dimmed = (element) => element.closest(".session") ?? element;
  const polled = (event) => event.detail.ctx?.sourceElement?.closest?.("[data-poll]");
  document.addEventListener("htmx:config:request", (event) => {
    const { sourceElement, sourceEvent } = event.detail.ctx;
    if (sourceEvent?.type !== "every") return;
    const busy = sourceElement.matches("[data-calm]") && sourceElement.matches(":hover, :focus-within");
    if (document.hidden || busy) event.preventDefault();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) htmx.trigger(document.body, "wa:visible");
  });
  const missed = (event) => {
    const element = polled(event);
    if (!element) return;
    const record = misses.get(element) ?? { count: 0, since: pageStart };
    misses.set(element, { ...record, count: record.count + 1 });
    if (record.count + 1 < 2) return;
    const time = new Intl.DateTimeFormat(words.locale, { hour: "2-digit", minute: "2-digit" });
    dimmed(element).dataset.late = words.late.replace("%s", time.format(record.since));
  };
  const pageStart = Date.now();
  document.addEventListener("htmx:error", missed);
  document.addEventListener("htmx:response:error", missed);
  document.addEventListener("htmx:after:request", (event) => {
    const { sourceElement, response } = event.detail.ctx;
    if (response.status < 400) sourceElement.closest("[data-closes-after]")?.closest("dialog")?.close();
    const element = polled(event);
    if (!element || response.status >= 400) return;
    misses.set(element, { count: 0, since: Date.now() });
    delete dimmed(element).dataset.late;
  });

  // card and panel may both report a change: it is read out once
  document.addEventListener("htmx:before:swap", (event) => {
    const { tasks } = event.detail;
    for (let i = tasks.length - 1; i >= 0; i -= 1) {
      if (tasks[i].target === status && tasks[i].fragment.textContent.trim() === status.textContent.trim()) tasks.splice(i, 1);
    }
  });

  /* --- after a swap --- */
  document.addEventListener("htmx:after:swap", (event) => {
    dress(document);
    count();
    const { target, sourceElement } = event.detail.ctx;
    // a page that shows something else now says so in its address
    if (target?.dataset?.address) history.replaceState(null, "", target.dataset.address);
    // a question that was fetched opens its dialog
    if (target?.querySelector?.("[data-shows]")) open(target.closest("dialog"), sourceElement);
    const done = document.querySelector("[data-done]:not([data-seen])");
    if (!done) return;
    done.dataset.seen = "1";
    setTimeout(() => {
      const dialog = done.closest("dialog");
      if (dialog) dialog.close();
      else if (done.isConnected) location.href = done.dataset.done;
    }, 1500);
  });
  // what a person opened stays open while the page around it changes
  htmx.registerExtension("wa-keep-open", {
    htmx_before_morph_attr: (_, { attrName }) => attrName !== "open" && attrName !== "data-seen",
  });

  /* --- how long a text is --- */
  const measure = (area) => {
    const shown = document.querySelector(`[data-counts="${area.id}"]`);
    if (!shown) return;
    const [length, longest] = [[...area.value].length, Number(shown.dataset.longest)];
    shown.hidden = false;
    shown.textContent = `${length} / ${longest}`;
    shown.classList.toggle("is-over", length > longest);
  };
  on("input", "textarea", measure);
  const measureAll = () => document.querySelectorAll("textarea").forEach(measure);
  document.addEventListener("htmx:after:swap", measureAll);
  measureAll();

  dress(document);
  count();
})();
