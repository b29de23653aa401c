"use strict";
/* The passkey that WhatsApp asks for while a phone is linked. Only a page of web.whatsapp.com can use it, so
   form[data-link-passkey] hands the gateway's challenge to WAHA's browser extension, which signs it there, and sends
   back what it gives. Chrome's is called by its id, Firefox's hears messages to this window (waha-docs, blog/waha-passkey).
   Without an answer the steps to install it stay. Nothing is kept here. */
(() => {
  const PING_MS = 500;
  const SIGN_MS = 5 * 60 * 1000; // a person looks for the key
  const PAGE = "waha-passkey-page", EXTENSION = "waha-passkey-extension";

  const byId = (id) => (message, wait) => new Promise((resolve, reject) => {
    const runtime = window.chrome?.runtime;
    if (!runtime?.sendMessage) return reject(new Error());
    const timer = setTimeout(reject, wait, new Error());
    runtime.sendMessage(id, message, (answer) => {
      clearTimeout(timer);
      const failed = runtime.lastError; // asked for, or Chrome complains
      return !failed && answer?.ok ? resolve(answer) : reject(new Error());
    });
  });

  const byWindow = (message, wait) => new Promise((resolve, reject) => {
    const requestId = crypto.getRandomValues(new Uint32Array(4)).join("-"); // randomUUID wants https
    const end = (act, value) => {
      clearTimeout(timer);
      removeEventListener("message", hear);
      act(value);
    };
    const hear = ({ source, data }) => {
      if (source !== window || data?.source !== EXTENSION || data.requestId !== requestId) return;
      end(data.ok ? resolve : reject, data.ok ? data : new Error());
    };
    const timer = setTimeout(end, wait, reject, new Error());
    addEventListener("message", hear);
    postMessage({ source: PAGE, requestId, ...message }, location.origin);
  });

  const reach = async (id) => {
    for (const call of [byId(id), byWindow]) {
      try {
        await call({ type: "waha-passkey-ping" }, PING_MS);
        return call;
      } catch { /* not this way */ }
    }
    return null;
  };

  const form = () => document.querySelector("form[data-link-passkey]");
  const show = (part, name, is) => { part.querySelector(`[data-${name}]`).hidden = !is; };

  const challenge = async (part) => {
    const options = { method: "POST", body: new FormData(part), headers: { Accept: "application/json" } };
    const response = await fetch(part.dataset.challenge, options);
    if (response.redirected) return location.reload(); // the password is asked for again
    const said = await response.json();
    if (!response.ok) throw new Error(said.trouble);
    return said;
  };

  let isBusy = false;
  const sign = async (call) => {
    isBusy = true;
    dress();
    let trouble = "";
    try {
      const asked = await challenge(form());
      if (!asked) return;
      const { assertion } = await call({ type: "waha-passkey-sign", challenge: asked }, SIGN_MS);
      const part = form();
      if (part) {
        part.elements.assertion.value = JSON.stringify(assertion);
        htmx.trigger(part, "wa:signed");
      }
    } catch (error) {
      trouble = error.message || form()?.dataset.stopped;
    } finally {
      isBusy = false;
      dress();
    }
    const line = form()?.querySelector("[data-trouble]");
    if (!line) return;
    line.hidden = !trouble;
    line.textContent = trouble;
  };

  let reached; // how the extension is called, once it has answered
  const dress = async () => {
    if (!form()) return;
    reached ??= await reach(form().dataset.linkPasskey);
    const part = form();
    if (!part) return;
    show(part, "signs", reached);
    show(part, "busy", isBusy);
    part.querySelector("[data-signs]").disabled = isBusy;
    if (isBusy) show(part, "trouble", false);
    part.parentElement.querySelector("[data-without-extension]").hidden = Boolean(reached);
  };

  document.addEventListener("click", (event) => {
    if (event.target.closest?.("[data-signs]") && reached && !isBusy) sign(reached);
  });
  document.addEventListener("htmx:after:swap", dress);
  dress();
})();
