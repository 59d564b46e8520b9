/* The page "Turn the knobs": what readers see and change. The arithmetic is in axes-math.js. */
(function () {
  "use strict";
  var VIEWS = { x: "x", dy: "gradient of y", xhat: "x̂", y: "y", dx: "gradient of x" };
  var LISTS = ["x", "dy", "gamma", "beta", "mean", "variance"];
  var HUES = 8;

  function number(value) {
    if (!isFinite(value)) return "not finite";
    var near = Math.round(value);
    var text = Math.abs(value - near) < 1e-9 ? String(near) : String(Number(value.toPrecision(4)));
    return text.replace("-", "−");
  }
  /* In a sum, a difference or a product a negative number has parentheses. */
  function inside(value) { return value < 0 ? "(" + number(value) + ")" : number(value); }
  function parsed(text) {
    return text.trim() === "" ? NaN : Number(text.trim().replace("−", "-").replace(",", "."));
  }
  function product(list) { return list.reduce(function (a, b) { return a * b; }, 1); }
  function divisors(c) {
    var found = [];
    for (var g = 1; g <= c; g++) if (c % g === 0) found.push(g);
    return found;
  }
  /* A random whole number that depends on the place alone, so that a new shape is the same twice. */
  function drawn(i) { return ((i * 7919 + 104729) % 97) % 10; }

  function start(root) {
    var rules = JSON.parse(root.dataset.rules), names = JSON.parse(root.dataset.names);
    var preset = JSON.parse(root.dataset.state), state = read(preset);
    var out, grad, betas;

    /* -- the state, and its form in the address ------------------------------------------------ */
    function copy(from) { return JSON.parse(JSON.stringify(from)); }
    function read(base) {
      var found = copy(base), fields = new URLSearchParams(location.hash.slice(1));
      if (Object.keys(rules).includes(fields.get("norm"))) found.norm = fields.get("norm");
      var shape = (fields.get("shape") || "").split(",").map(Number);
      if (shape.length === 4 && shape.every(fits)) found.shape = shape;
      if (fields.get("mode") === "evaluation") found.mode = "evaluation";
      if (Object.keys(VIEWS).includes(fields.get("view"))) found.view = fields.get("view");
      if (Number(fields.get("eps")) >= 0 && fields.get("eps")) found.eps = Number(fields.get("eps"));
      found.groups = Number(fields.get("groups")) || found.groups;
      LISTS.forEach(function (name) {
        var list = (fields.get(name) || "").split(",").map(parsed);
        if (list.every(isFinite)) found[name] = list;
      });
      return fitted(found, base);
    }
    function fits(size, axis) { return size >= 1 && size <= [4, 8, 4, 4][axis] && size % 1 === 0; }
    /* Give every list the length that the shape asks for, and group norm a number that divides. */
    function fitted(found, base) {
      var cells = product(found.shape), c = found.shape[1];
      var lengths = { x: cells, dy: cells, gamma: c, beta: c, mean: c, variance: c };
      var usual = { gamma: 1, beta: 0, mean: 0, variance: 1 };
      LISTS.forEach(function (name) {
        if (found[name].length === lengths[name]) return;
        var same = base && base[name].length === lengths[name];
        found[name] = same ? base[name].slice() : Array.from({ length: lengths[name] }, function (_, i) {
          if (name === "x") return drawn(i);
          return name === "dy" ? drawn(i + 50) - 4 : usual[name];
        });
      });
      if (c % found.groups) found.groups = 1;
      if (!keepsRunning(found.norm)) found.mode = "training";
      found.focus = Math.min(found.focus || 0, cells - 1);
      return found;
    }
    function keepsRunning(norm) { return norm === "batch" || norm === "instance"; }
    function address() {
      var parts = ["norm=" + state.norm, "shape=" + state.shape.join(",")];
      ["groups", "eps", "mode", "view"].forEach(function (name) { parts.push(name + "=" + state[name]); });
      LISTS.forEach(function (name) { parts.push(name + "=" + state[name].join(",")); });
      return location.href.split("#")[0] + "#" + parts.join("&");
    }

    /* -- the arithmetic ------------------------------------------------------------------------ */
    function compute() {
      var n = state.shape[0], c = state.shape[1], pixels = state.shape[2] * state.shape[3];
      var groups = state.norm === "group" ? state.groups : 1, rule = rules[state.norm];
      var sizes = [n, groups, c / groups, pixels];
      var running = state.mode === "evaluation" ? { mean: state.mean, variance: state.variance } : null;
      var parameters = ["gamma", "beta"].map(function (name) {
        if (rule.affine.indexOf("S") < 0) return state[name];
        return state.x.slice(0, c * pixels).map(function (_, i) { return state[name][Math.floor(i / pixels)]; });
      });
      betas = parameters[1];
      out = normstudyAxes.forward(rule, sizes, state.x, parameters[0], parameters[1], state.eps, running);
      grad = normstudyAxes.backward(rule, out, state.dy);
    }
    function trouble() {
      if (out.training && out.size < 2)
        return "Each statistic has 1 value only; it needs 2 or more. Take more images, larger maps or fewer groups.";
      if (out.rstd.every(isFinite)) return "";
      return "A variance is 0, and so is eps: the norm divides by 0. Change a number, or give eps a value.";
    }
    function shown(name) {
      return { x: state.x, dy: state.dy, xhat: out.xhat, y: out.y, dx: grad.x }[name];
    }
    function where(i) {
      var s = state.shape;
      return [Math.floor(i / (s[1] * s[2] * s[3])), Math.floor(i / (s[2] * s[3])) % s[1],
              Math.floor(i / s[3]) % s[2], i % s[3]];
    }
    function called(i) {
      var at = where(i);
      return "image " + at[0] + ", channel " + at[1] + ", row " + at[2] + ", column " + at[3];
    }

    /* -- what is drawn ------------------------------------------------------------------------- */
    function options(list, chosen, words) {
      return list.map(function (value) {
        var text = words ? words[value] : value;
        return '<option value="' + value + '"' + (String(value) === String(chosen) ? " selected" : "") + ">" + text + "</option>";
      }).join("");
    }
    function knob(name, label, inner, off) {
      return '<label class="axes-knob">' + label + ' <select data-knob="' + name + '"' + (off ? " disabled" : "") + ">" + inner + "</select></label>";
    }
    function upTo(most) { return Array.from({ length: most }, function (_, i) { return i + 1; }); }
    function knobs() {
      var s = state.shape, grouped = state.norm === "group";
      return knob("norm", "norm", options(Object.keys(rules), state.norm, names)) +
        knob("mode", "mode", options(["training", "evaluation"], state.mode), !keepsRunning(state.norm)) +
        knob("groups", "groups G", options(divisors(s[1]), grouped ? state.groups : 1), !grouped) +
        knob("0", "images N", options(upTo(4), s[0])) + knob("1", "channels C", options(upTo(8), s[1])) +
        knob("2", "rows H", options(upTo(4), s[2])) + knob("3", "columns W", options(upTo(4), s[3])) +
        '<label class="axes-knob">eps <input data-knob="eps" inputmode="decimal" size="6" value="' + state.eps + '"></label>' +
        '<button type="button" data-do="reset">the batch of the pages by hand</button>';
    }
    function grid() {
      var s = state.shape, values = shown(state.view), html = "", mine = out.set[state.focus];
      html += '<table role="grid" class="axes-grid" aria-label="' + VIEWS[state.view] + ', one row of a map in a row"><thead><tr><td></td>';
      for (var c = 0; c < s[1]; c++) html += '<th scope="colgroup" colspan="' + s[3] + '">channel ' + c + "</th>";
      html += "</tr></thead><tbody>";
      for (var n = 0; n < s[0]; n++)
        for (var h = 0; h < s[2]; h++) {
          html += '<tr role="row"' + (h ? "><td></td>" : ' class="axes-first"><th scope="row">image ' + n + "</th>");
          for (c = 0; c < s[1]; c++)
            for (var w = 0; w < s[3]; w++) {
              var i = ((n * s[1] + c) * s[2] + h) * s[3] + w, set = out.set[i];
              html += '<td role="gridcell" data-cell="' + i + '" tabindex="' + (i === state.focus ? 0 : -1) + '" class="axes-set-' + (set % HUES) +
                (set === mine ? " axes-mine" : "") + (w ? "" : " axes-left") + '" aria-label="' + called(i) + ": " + number(values[i]) + ", set " + (set + 1) + '">' +
                '<span class="axes-number">' + number(values[i]) + '</span><span class="axes-mark">' + (set + 1) + "</span></td>";
            }
          html += "</tr>";
        }
      return html + "</tbody></table>";
    }
    function sets() {
      var html = '<table class="axes-sets"><thead><tr><th>set</th><th>values</th><th>mean</th><th>variance</th></tr></thead><tbody>';
      out.mean.forEach(function (mean, set) {
        html += '<tr class="' + (set === out.set[state.focus] ? "axes-mine" : "") + '"><td class="axes-set-' + (set % HUES) + '">' + (set + 1) + "</td><td>" +
          out.size + "</td><td>" + number(mean) + "</td><td>" + number(out.variance[set]) + "</td></tr>";
      });
      return html + "</tbody></table>";
    }
    function listed(values) {
      return values.slice(0, 8).map(inside).join(" + ") + (values.length > 8 ? " + … " : "");
    }
    function worked() {
      var i = state.focus, set = out.set[i], rule = rules[state.norm], m = out.size, fixed = !out.training;
      var members = [];
      out.set.forEach(function (other, j) { if (other === set) members.push(j); });
      function of(values) { return members.map(function (j) { return values[j]; }); }
      var gamma = number(out.gamma[out.affine[i]]), std = 1 / out.rstd[set], lines = [];
      if (fixed) lines.push("μ = " + number(out.mean[set]) + ", σ² = " + number(out.variance[set]) + ", the running statistics of channel " + where(i)[1]);
      else {
        if (rule.centered) lines.push("μ = (" + listed(of(state.x)) + ") / " + m + " = " + number(out.mean[set]));
        else lines.push("no mean is subtracted");
        lines.push("σ² = (" + listed(of(out.deviation).map(function (d) { return d * d; })) + ") / " + m + " = " + number(out.variance[set]));
      }
      lines.push("s = √(" + number(out.variance[set]) + " + " + number(state.eps) + ") = " + number(std));
      lines.push("x̂ = " + number(out.deviation[i]) + " / " + number(std) + " = " + number(out.xhat[i]));
      lines.push("y = " + gamma + " · " + inside(out.xhat[i]) + " + " + inside(betas[out.affine[i]]) + " = " + number(out.y[i]));
      lines.push("g = " + gamma + " · " + inside(state.dy[i]) + " = " + number(grad.g[i]));
      if (fixed) lines.push("gradient of x = " + number(grad.g[i]) + " / " + number(std) + " = " + number(grad.x[i]));
      else {
        lines.push("mean of g: " + number(grad.mean[set]) + ", mean of g x̂: " + number(grad.moment[set]));
        lines.push("gradient of x = (" + number(grad.g[i]) + " − " + inside(grad.mean[set]) + " − " + inside(out.xhat[i]) + " · " + inside(grad.moment[set]) + ") / " + number(std) + " = " + number(grad.x[i]));
      }
      return "<p><strong>" + called(i) + "</strong>, set " + (set + 1) + "</p><p>" + lines.join("<br>") + "</p>";
    }
    function channels() {
      var per = state.x.length / state.shape[0] / state.shape[1], rows = ["gamma", "beta", "mean", "variance"];
      var words = { gamma: "γ", beta: "β", mean: "running mean", variance: "running variance" };
      var html = '<table class="axes-channels"><thead><tr><th>channel</th>';
      for (var c = 0; c < state.shape[1]; c++) html += "<th>" + (c + 1) + "</th>";
      html += "</tr></thead><tbody>";
      rows.slice(0, keepsRunning(state.norm) ? 4 : 2).forEach(function (name) {
        html += '<tr><th scope="row">' + words[name] + "</th>" + state[name].map(function (value, i) {
          return '<td><input data-list="' + name + '" data-place="' + i + '" inputmode="decimal" size="4" aria-label="' + words[name] + " of channel " + i + '" value="' + value + '"></td>';
        }).join("") + "</tr>";
      });
      ["gamma", "beta"].forEach(function (name) {
        html += '<tr><th scope="row">gradient of ' + words[name] + "</th>" + state[name].map(function (_, i) {
          var values = grad[name], many = values.length > state.shape[1];
          return "<td>" + (many ? values.slice(i * per, (i + 1) * per) : [values[i]]).map(number).join(", ") + "</td>";
        }).join("") + "</tr>";
      });
      return html + "</tbody></table>";
    }
    function torchCall() {
      var t = function (list) { return "torch.tensor([" + list.join(", ") + "], dtype=torch.float64)"; };
      /* PyTorch's batch norm refuses 0 */
      var eps = ", eps=" + (state.eps || (state.norm === "batch" ? 1e-30 : 0)) + ")", both = "gamma, beta", call = {
        batch: state.mode === "evaluation" ? "F.batch_norm(x, mean, variance, " + both + eps : "F.batch_norm(x, None, None, " + both + ", training=True" + eps,
        instance: state.mode === "evaluation" ? "F.instance_norm(x, mean, variance, " + both + ", use_input_stats=False" + eps : "F.instance_norm(x, None, None, " + both + eps,
        group: "F.group_norm(x, " + state.groups + ", " + both + eps,
        layer: "F.group_norm(x, 1, " + both + eps,
        layer_chw: "F.layer_norm(x, x.shape[1:], *(p[:, None, None].expand(x.shape[1:]) for p in (" + both + "))" + eps,
        layer_channels: "F.layer_norm(x.movedim(1, -1), x.shape[1:2], " + both + eps + ".movedim(-1, 1)",
        rms: "F.rms_norm(x.movedim(1, -1), x.shape[1:2], gamma" + eps + ".movedim(-1, 1) + beta[:, None, None]"
      }[state.norm];
      var lines = ["import torch", "from torch.nn import functional as F", ""];
      lines.push("x = " + t(state.x) + ".view(" + state.shape.join(", ") + ").requires_grad_()");
      lines.push("gamma, beta = " + t(state.gamma) + ", " + t(state.beta));
      if (state.mode === "evaluation") lines.push("mean, variance = " + t(state.mean) + ", " + t(state.variance));
      lines.push("y = " + call, "y.backward(" + t(state.dy) + ".view_as(y))", "print(y, x.grad)");
      return lines.join("\n");
    }

    root.innerHTML =
      '<div class="axes-knobs"></div><fieldset class="axes-views"><legend>show</legend></fieldset>' +
      '<p class="axes-alert" role="alert"></p><div class="axes-scroll axes-place"></div>' +
      '<p class="axes-edit"><label><span></span> <input inputmode="decimal" size="8"></label> <span class="axes-hint">Arrow keys choose a cell; type a number to change it.</span></p>' +
      '<div class="axes-below"><div class="axes-worked" aria-live="polite"></div><div class="axes-scroll axes-statistics"></div></div>' +
      "<details><summary>γ, β, running statistics and their gradients</summary><div class=\"axes-scroll axes-per\"></div></details>" +
      '<details><summary>The same in PyTorch</summary><p><button type="button" data-do="copy">Copy</button></p><pre tabindex="0"></pre></details>' +
      '<p><a class="axes-link" href="#">Link to these numbers</a></p>';
    function part(name) { return root.querySelector(name); }
    part(".axes-views").innerHTML += Object.keys(VIEWS).map(function (view) {
      return '<label><input type="radio" name="axes-view" value="' + view + '"> ' + VIEWS[view] + "</label> ";
    }).join("");
    var editor = part(".axes-edit input");

    function draw(whole) {
      compute();
      if (whole !== "keep") part(".axes-knobs").innerHTML = knobs();
      part('.axes-views input[value="' + state.view + '"]').checked = true;
      var wrong = trouble();
      part(".axes-alert").textContent = wrong;
      part(".axes-below").hidden = Boolean(wrong);
      part(".axes-place").innerHTML = grid();
      part(".axes-statistics").innerHTML = sets();
      part(".axes-worked").innerHTML = worked();
      if (whole !== "keep") part(".axes-per").innerHTML = channels();
      part("pre").textContent = torchCall();
      part(".axes-link").href = address();
      var edited = state.view === "dy" ? "dy" : "x";
      part(".axes-edit span").textContent = (edited === "x" ? "x" : "gradient of y") + " of " + called(state.focus);
      if (document.activeElement !== editor) editor.value = String(state[edited][state.focus]);
    }
    function choose(i) {
      state.focus = i;
      draw();
      part('[data-cell="' + i + '"]').focus();
    }

    /* -- what readers do ----------------------------------------------------------------------- */
    root.addEventListener("change", function (event) {
      var data = event.target.dataset, value = event.target.value;
      if (event.target.name === "axes-view") state.view = value;
      else if (data.list) {
        if (!isFinite(parsed(value))) return draw();
        state[data.list][data.place] = parsed(value);
        return draw("keep"), void (part(".axes-per").innerHTML = channels());
      } else if (data.knob === "eps") {
        if (parsed(value) >= 0) state.eps = parsed(value);
      } else if (data.knob in { norm: 1, mode: 1 }) state[data.knob] = value;
      else if (data.knob === "groups") state.groups = Number(value);
      else if (data.knob) state.shape[Number(data.knob)] = Number(value);
      else return;
      fitted(state, preset);
      draw();
      if (data.knob) part('[data-knob="' + data.knob + '"]').focus();
    });
    root.addEventListener("click", function (event) {
      var cell = event.target.closest("[data-cell]");
      if (cell) choose(Number(cell.dataset.cell));
      if (event.target.dataset.do === "copy") {
        navigator.clipboard.writeText(part("pre").textContent).then(function () { event.target.textContent = "Copied"; });
      }
      if (event.target.dataset.do === "reset") {
        var norm = state.norm;
        state = fitted(Object.assign(copy(preset), { norm: norm }), preset);
        draw();
        part('[data-do="reset"]').focus();
      }
    });
    root.addEventListener("keydown", function (event) {
      if (!event.target.dataset.cell) return;
      var s = state.shape, at = where(state.focus), column = at[1] * s[3] + at[3], row = at[0] * s[2] + at[2];
      var moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0], Home: [0, -column], End: [0, s[1] * s[3] - 1 - column] };
      if (moves[event.key]) {
        event.preventDefault();
        row = Math.min(Math.max(row + moves[event.key][0], 0), s[0] * s[2] - 1);
        column = Math.min(Math.max(column + moves[event.key][1], 0), s[1] * s[3] - 1);
        choose(((Math.floor(row / s[2]) * s[1] + Math.floor(column / s[3])) * s[2] + row % s[2]) * s[3] + column % s[3]);
      } else if (/^[-−.0-9]$/.test(event.key) || event.key === "Enter") {
        event.preventDefault();
        if (state.view !== "dy" && state.view !== "x") { state.view = "x"; draw(); }
        editor.focus();
        if (event.key === "Enter") editor.select();
        else { editor.value = event.key; editor.dispatchEvent(new Event("input")); }
      }
    });
    editor.addEventListener("input", function () {
      var value = parsed(editor.value);
      if (isFinite(value)) {
        state[state.view === "dy" ? "dy" : "x"][state.focus] = value;
        draw("keep");
        part(".axes-per").innerHTML = channels();
      }
    });
    editor.addEventListener("keydown", function (event) {
      if (event.key === "Enter" || event.key === "Escape") { event.preventDefault(); choose(state.focus); }
    });
    window.addEventListener("hashchange", function () { state = read(preset); draw(); });
    draw();
  }

  document.querySelectorAll(".axes").forEach(start);
})();
