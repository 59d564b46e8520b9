/* Help on every page: formulas that move, and definitions that open. */
(function () {
  "use strict";

  /* A formula that moves sideways is a stop of the tab key, so that arrow keys can move it; others are not. */
  function stopAtWideFormulas() {
    document.querySelectorAll("div.math").forEach(function (formula) {
      if (formula.scrollWidth > formula.clientWidth) formula.tabIndex = 0;
      else formula.removeAttribute("tabindex");
    });
  }
  window.addEventListener("load", function () {
    var typeset = window.MathJax && MathJax.startup && MathJax.startup.promise;
    Promise.resolve(typeset).then(stopAtWideFormulas);
  });
  window.addEventListener("resize", stopAtWideFormulas);

  /* The definition of a term or a symbol opens by pointer or focus, and closes by Escape. */
  document.querySelectorAll("a.defined").forEach(function (link) {
    var box = document.getElementById(link.id.replace("use-", "definition-")), leaving;
    if (!box || !box.showPopover) return;
    link.setAttribute("aria-describedby", box.id);
    if (link.querySelector(".math")) link.setAttribute("aria-label", link.id.slice(4).replace(/-/g, " "));
    function open() {
      clearTimeout(leaving);
      if (box.matches(":popover-open")) return;
      box.showPopover();
      var at = link.getBoundingClientRect(), below = at.bottom + 4;
      var room = document.documentElement.clientWidth - box.offsetWidth - 8;
      box.style.left = Math.max(8, Math.min(at.left, room)) + "px";
      box.style.top = (below + box.offsetHeight < innerHeight ? below : at.top - box.offsetHeight - 4) + "px";
    }
    function close() { if (box.matches(":popover-open")) box.hidePopover(); }
    function closeSoon() { leaving = setTimeout(close, 200); }
    link.addEventListener("focus", open);
    link.addEventListener("blur", close);
    [link, box].forEach(function (part) {
      part.addEventListener("mouseenter", open);
      part.addEventListener("mouseleave", closeSoon);
    });
    document.addEventListener("keydown", function (event) { if (event.key === "Escape") close(); });
    document.addEventListener("scroll", close, { passive: true });
  });
})();
