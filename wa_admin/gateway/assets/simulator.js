// Once a second the page is fetched again, and what is live in it is put in place; forms stay untouched.
const refresh = async () => {
  if (document.hidden) return;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok) return location.reload();
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const next = fresh.getElementById(part.id);
    const busy = part.contains(document.activeElement);
    if (next && !busy && next.innerHTML !== part.innerHTML) part.replaceWith(document.adoptNode(next));
  }
};
const again = () => refresh().catch(() => {}).finally(() => setTimeout(again, 1000));
setTimeout(again, 1000);
