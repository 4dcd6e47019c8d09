"use strict";
// The box in the head of a table ticks all boxes below it.
document.addEventListener("DOMContentLoaded", () => {
  const all = document.getElementById("action-toggle");
  const boxes = Array.from(document.querySelectorAll("tr input.action-select"));
  const mark = () => {
    boxes.forEach((box) => box.closest("tr").classList.toggle("selected", box.checked));
    if (all) all.checked = boxes.length > 0 && boxes.every((box) => box.checked);
  };
  if (all) all.addEventListener("change", () => { boxes.forEach((box) => { box.checked = all.checked; }); mark(); });
  boxes.forEach((box) => box.addEventListener("change", mark));
  mark();
});
