"use strict";
/* Says while somebody types how far a new password is. The server decides. */
(() => {
  const kinds = [/\p{Ll}/u, /\p{Lu}/u, /\p{N}/u, /[^\p{L}\p{N}\s]/u];
  for (const box of document.querySelectorAll("[data-strength]")) {
    const input = document.getElementById(box.dataset.strength);
    const verdict = box.querySelector("[data-verdict]");
    input.addEventListener("input", () => {
      const length = [...input.value].length;
      const variety = new Set(input.value).size;
      const strong = variety >= 10 && (length >= 20 || (length >= 16 && kinds.filter((kind) => kind.test(input.value)).length > 2));
      verdict.hidden = length === 0;
      verdict.textContent = length < 12 ? box.dataset.short.replace("#", 12 - length) : strong ? box.dataset.strong : box.dataset.enough;
    });
  }
})();
