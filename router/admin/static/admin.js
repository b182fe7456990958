// What every page needs: the menu on phones, the operator's time zone, asking before what cannot be undone.
"use strict";
document.documentElement.classList.add("scripted");

const tierwise = {
  csrf: document.querySelector("meta[name=csrf]")?.content ?? "",
  zone: document.querySelector("meta[name=zone]")?.content ?? "UTC",

  // Reads JSON of this site; throws an Error whose message is for the operator.
  async json(path, body) {
    const options = { headers: { accept: "application/json" }, credentials: "same-origin" };
    if (body !== undefined) {
      options.method = "POST";
      options.headers["content-type"] = "application/json";
      options.headers["x-csrf-token"] = tierwise.csrf;
      options.body = JSON.stringify(body);
    }
    let reply;
    try {
      reply = await fetch(path, options);
    } catch {
      throw new Error("The server does not answer.");
    }
    const found = await reply.json().catch(() => null);
    if (!reply.ok) throw new Error(found?.error?.message ?? `The server says ${reply.status}.`);
    return found;
  },

  // An instant (microseconds since 1970) in the operator's zone.
  moment(us, options = { dateStyle: "medium", timeStyle: "medium" }) {
    return new Intl.DateTimeFormat(undefined, { timeZone: tierwise.zone, ...options }).format(us / 1000);
  },
};

const menu = document.querySelector("button.menu");
menu?.addEventListener("click", () => {
  const open = document.querySelector(".side").classList.toggle("open");
  menu.setAttribute("aria-expanded", String(open));
});

const zones = document.getElementById("zones");
if (zones && Intl.supportedValuesOf) {
  for (const name of Intl.supportedValuesOf("timeZone")) {
    const option = document.createElement("option");
    option.value = name;
    zones.append(option);
  }
}

// A table wider than its place can be scrolled with the keyboard too; scripts may fill one later.
function reachable(place) {
  const isWider = place.scrollWidth > place.clientWidth;
  place.toggleAttribute("tabindex", isWider);
  if (!isWider) return;
  place.tabIndex = 0;
  place.setAttribute("role", "region");
  place.setAttribute("aria-label", place.querySelector("caption")?.textContent ?? "Table, scrolls sideways");
}
for (const place of document.querySelectorAll(".scroll")) {
  const look = () => reachable(place);
  new ResizeObserver(look).observe(place);
  new MutationObserver(look).observe(place, { childList: true, subtree: true, characterData: true });
}

for (const form of document.querySelectorAll("form[data-confirm]")) {
  form.addEventListener("submit", (event) => {
    if (!window.confirm(form.dataset.confirm)) event.preventDefault();
  });
}
