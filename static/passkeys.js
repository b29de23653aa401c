"use strict";
/* Passkeys: a form[data-passkey] asks the server for a question, has the browser answer it (`get` uses a passkey,
   `create` makes one) and sends the answer as its field `credential`. Without JavaScript, or in a browser that
   knows no passkeys, the form stays hidden: password and codes work everywhere. */
(() => {
  const read = { get: "parseRequestOptionsFromJSON", create: "parseCreationOptionsFromJSON" };
  const able = window.PublicKeyCredential?.[read.get] && window.PublicKeyCredential?.[read.create];

  const answer = async (form) => {
    const response = await fetch(form.dataset.question, {
      method: "POST",
      body: new FormData(form),
      headers: { Accept: "application/json" },
    });
    if (response.redirected || !response.ok) return location.reload();
    const act = form.dataset.passkey;
    const publicKey = PublicKeyCredential[read[act]](await response.json());
    const credential = await navigator.credentials[act]({ publicKey });
    form.elements.credential.value = JSON.stringify(credential);
    form.submit();
  };

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    const trouble = form.querySelector("[data-trouble]");
    if (!able) {
      const without = form.parentElement.querySelector("[data-without-passkeys]");
      if (without) without.hidden = false;
      continue;
    }
    form.closest("[data-passkey-part]").hidden = false;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const button = form.querySelector("button[type=submit]");
      button.disabled = true;
      trouble.hidden = true;
      try {
        await answer(form);
      } catch (error) { // somebody closed the browser's dialog, or the key is known already
        trouble.hidden = false;
        trouble.textContent = error.name === "InvalidStateError" ? form.dataset.known : form.dataset.stopped;
        button.disabled = false;
      }
    });
  }
})();
