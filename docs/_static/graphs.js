/* Live graphs: a slider that reads a place into the table, switches for arms and single seeds. */
(function () {
  "use strict";
  function start(graph) {
    var steps = JSON.parse(graph.dataset.steps), plot = graph.querySelector(".graph-plot svg");
    var slider = graph.querySelector("[type=range]"), said = graph.querySelector("output");
    var rows = [].slice.call(graph.querySelectorAll("tbody tr")), cursor = plot.querySelector(".graph-cursor");
    function show() {
      var step = steps[slider.value];
      cursor.setAttribute("x1", step.x);
      cursor.setAttribute("x2", step.x);
      graph.querySelector(".graph-step").textContent = step.name;
      slider.setAttribute("aria-valuetext", step.name);
      said.textContent = step.name + ": " + rows.map(function (row, i) {
        [].forEach.call(row.querySelectorAll("td"), function (cell, j) { cell.textContent = step.rows[i][j]; });
        return row.querySelector("input").checked ? row.querySelector("th").textContent.trim() + " " + step.rows[i][0] : "";
      }).filter(Boolean).join("; ");
    }
    function toggle(box) {
      var what = '[data-' + box.dataset.switch + '="' + box.value + '"]';
      [].forEach.call(graph.querySelectorAll(box.dataset.switch === "arm" ? ".graph-plot " + what : what), function (part) {
        part.classList.toggle("graph-off", !box.checked);
      });
    }
    /* A finger or the mouse on the plot takes the slider along. */
    function point(event) {
      if (event.type === "pointermove" && event.pointerType !== "mouse" && !event.buttons) return;
      var box = plot.getBoundingClientRect(), at = 100 * (event.clientX - box.left) / box.width, best = 0;
      steps.forEach(function (step, i) {
        if (Math.abs(parseFloat(step.x) - at) < Math.abs(parseFloat(steps[best].x) - at)) best = i;
      });
      if (Number(slider.value) !== best) { slider.value = best; show(); }
    }
    slider.addEventListener("input", show);
    plot.addEventListener("pointerdown", point);
    plot.addEventListener("pointermove", point);
    graph.addEventListener("change", function (event) {
      if (event.target.dataset.switch) toggle(event.target);
    });
    [].forEach.call(graph.querySelectorAll("[data-switch]"), toggle); /* what a reload has kept */
    show();
    said.textContent = "";
  }
  document.querySelectorAll(".graph").forEach(start);
})();
