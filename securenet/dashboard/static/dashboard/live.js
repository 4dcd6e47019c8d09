/* What is marked with data-live is asked for again while somebody looks at it, by htmx. Here stands when that has to
   wait: nobody sees the page, or somebody is using the part that would be replaced. */
"use strict";

function isInUse(part) {
  const selection = getSelection();
  const marks = selection.type === "Range" && part.contains(selection.anchorNode);
  return marks || part.contains(document.activeElement);
}

document.addEventListener("htmx:beforeRequest", (event) => {
  const part = event.detail.elt;
  if (part.matches("[data-live]") && (document.hidden || isInUse(part))) event.preventDefault();
});

// What was opened stays open.
let opened = [];
document.addEventListener("htmx:beforeSwap", (event) => {
  opened = Array.from(event.detail.target.querySelectorAll("details[open][id]"), (details) => details.id);
});
document.addEventListener("htmx:afterSettle", () => {
  for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
});

function tellWhetherOutdated(isOutdated) {
  const line = document.getElementById("outdated");
  line.textContent = isOutdated ? line.dataset.text : "";
}
document.addEventListener("htmx:responseError", () => tellWhetherOutdated(true));
document.addEventListener("htmx:sendError", () => tellWhetherOutdated(true));
document.addEventListener("htmx:afterSwap", () => tellWhetherOutdated(false));
