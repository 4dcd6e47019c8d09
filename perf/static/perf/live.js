// The page "Live": asks for its inside again every few seconds and changes what has changed, so that the focus, folded
// tables and a screen reader's place stay. One question at a time; none while the tab is hidden or paused.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const numbers = document.getElementById("live-numbers");
  const pause = document.getElementById("live-pause");
  const state = document.getElementById("live-state");
  if (!numbers || !pause || !state) return;

  const LONGEST_ANSWER_MS = 20000;
  const seconds = Number(numbers.dataset.seconds);
  let isPaused = false;
  let isAsking = false;
  let isOver = false;
  let hasFailed = false;
  let timer = 0;

  // The live region is written to only when it says something else: nobody is told the same thing twice.
  const say = (words) => {
    if (state.textContent !== words) state.textContent = words;
  };

  const sayOld = () => {
    hasFailed = true;
    say(`${state.dataset.failed} ${document.getElementById("live-time")?.textContent}.`);
  };

  const isSame = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id || "") === (b.id || "");

  function update(old, now) {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.nodeValue !== now.nodeValue) old.nodeValue = now.nodeValue;
      return;
    }
    for (const { name } of [...old.attributes]) {
      if (!now.hasAttribute(name) && !(old.nodeName === "DETAILS" && name === "open")) old.removeAttribute(name);
    }
    for (const { name, value } of [...now.attributes]) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    updateChildren(old, now);
  }

  // What has an id is found by it, wherever it stands now: the focus on a client's button stays on that client's.
  function updateChildren(old, now) {
    const named = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
    let place = old.firstChild;
    for (const wanted of [...now.childNodes]) {
      let found = wanted.id ? named.get(wanted.id) : place && !place.id && isSame(place, wanted) ? place : null;
      if (found && !isSame(found, wanted)) found = null;
      if (!found) {
        old.insertBefore(document.importNode(wanted, true), place);
        continue;
      }
      if (found === place) place = place.nextSibling;
      else old.insertBefore(found, place);
      update(found, wanted);
    }
    while (place) {
      const rest = place.nextSibling;
      place.remove();
      place = rest;
    }
  }

  function show(text) {
    const focused = document.activeElement;
    const id = numbers.contains(focused) ? focused.id : "";
    const parsed = new DOMParser().parseFromString(`<div>${text}</div>`, "text/html");
    updateChildren(numbers, parsed.body.firstChild);
    // A row that moved has lost the focus on the way.
    const again = id && document.activeElement !== focused && document.getElementById(id);
    if (again) again.focus({ preventScroll: true });
  }

  async function ask() {
    if (isAsking || isPaused || isOver || document.hidden) return;
    isAsking = true;
    try {
      const answer = await fetch(numbers.dataset.url, {
        credentials: "same-origin",
        cache: "no-store",
        signal: AbortSignal.timeout(LONGEST_ANSWER_MS),
      });
      if (answer.redirected || answer.status === 403) {
        isOver = true;
        pause.hidden = true;
        say(state.dataset.signedOut);
      } else if (!answer.ok) {
        sayOld();
      } else {
        const text = await answer.text();
        if (!isPaused) {
          show(text);
          if (hasFailed) say(state.dataset.again);
          hasFailed = false;
        }
      }
    } catch {
      if (!isPaused) sayOld();
    } finally {
      isAsking = false;
      askLater();
    }
  }

  function askLater() {
    window.clearTimeout(timer);
    if (!isPaused && !isOver && !document.hidden) timer = window.setTimeout(ask, seconds * 1000);
  }

  pause.addEventListener("click", () => {
    isPaused = !isPaused;
    pause.textContent = isPaused ? pause.dataset.goOn : pause.dataset.pause;
    say(isPaused ? state.dataset.paused : state.dataset.again);
    if (isPaused) window.clearTimeout(timer);
    else ask();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) window.clearTimeout(timer);
    else ask();
  });
  pause.hidden = false;
  askLater();
});
