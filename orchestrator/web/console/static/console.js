/* Times in the viewer's zone, the VFs of one VM lit together, what changes without disturbing anybody, and whether it is live. Nothing else needs a script of ours. */
(function () {
  "use strict";
  var minutes = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  var day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  var clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
  var narrow = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "numeric", minute: "2-digit" });
  var brief = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });

  function tell(root) {
    var found = root.querySelectorAll ? root.querySelectorAll("time[datetime]:not([data-told]), tspan[data-at]:not([data-told])") : [];
    for (var i = 0; i < found.length; i++) {
      var drawn = found[i].hasAttribute("data-at");
      var at = new Date(found[i].getAttribute(drawn ? "data-at" : "datetime"));
      var today = at.toDateString() === new Date().toDateString();
      found[i].textContent = (drawn ? (today || !found[i].hasAttribute("data-day") ? brief : narrow) : today ? clock : at.getSeconds() ? day : minutes).format(at);
      found[i].setAttribute("data-told", "");
    }
  }

  var lit = null;
  function light(vm) {
    if (vm === lit) { return; }
    document.querySelectorAll(".vf.lit:not(.found)").forEach(function (cell) { cell.classList.remove("lit"); });
    lit = vm;
    if (vm) {
      document.querySelectorAll('.vf[data-vm="' + CSS.escape(vm) + '"]').forEach(function (cell) { cell.classList.add("lit"); });
    }
  }
  function over(event) {
    var cell = event.target.closest ? event.target.closest(".vf[data-vm]") : null;
    light(cell ? cell.getAttribute("data-vm") : null);
  }

  function live(is) {
    document.documentElement.classList.toggle("is-live", is);
    document.querySelectorAll(".live").forEach(function (said) {
      said.textContent = is ? "live" : "not live: the connection is being made again";
    });
  }

  /* A piece of a page is put in where it is another one, unless somebody is at a form in it; what they unfolded stays so. */
  function isInUse(piece) {
    var at = document.activeElement;
    return piece.querySelector("form[data-touched]") !== null || (piece.contains(at) && at.closest("form") !== null);
  }
  function putIn(event) {
    var old = event.detail.target, fresh = event.detail.fragment.querySelector("[data-mark]");
    if (!fresh || !old.hasAttribute("data-mark")) { return; }
    event.detail.shouldSwap = old.getAttribute("data-mark") !== fresh.getAttribute("data-mark") && !isInUse(old);
    old.querySelectorAll("details[open][id]").forEach(function (unfolded) {
      var same = fresh.querySelector("#" + CSS.escape(unfolded.id));
      if (same) { same.open = true; }
    });
  }
  function touch(event) {
    var form = event.target.closest ? event.target.closest("form") : null;
    if (form) { form.setAttribute("data-touched", ""); }
  }

  /* On a phone the navigation is a line that is wider than the screen: where somebody is stands in sight. */
  function showWhere() {
    var here = document.querySelector(".side nav [aria-current=page]");
    var line = here && here.closest("nav");
    if (line) { line.scrollLeft = here.offsetLeft - (line.clientWidth - here.offsetWidth) / 2; }
  }

  document.addEventListener("DOMContentLoaded", function () {
    tell(document);
    showWhere();
    document.body.addEventListener("htmx:sseOpen", function () { live(true); });
    document.body.addEventListener("htmx:sseError", function () { live(false); });
    document.body.addEventListener("htmx:sseClose", function () { live(false); });
    document.body.addEventListener("htmx:load", function (event) { tell(event.detail.elt.parentNode || event.detail.elt); });
    document.body.addEventListener("htmx:oobAfterSwap", function () { tell(document); var vm = lit; lit = null; light(vm); });
    document.body.addEventListener("htmx:oobBeforeSwap", putIn);
    document.addEventListener("input", touch);
    document.addEventListener("pointerover", over);
    document.addEventListener("focusin", over);
  });
})();
