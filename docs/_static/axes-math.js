/* Normalization of one small batch, forward and backward: the arithmetic of "Turn the knobs".

   A batch is a flat array in the order (N, C, H, W), seen as (N, G, K, S): images, groups, channels
   of a group, positions. A rule is a row of INDEX_SETS in normstudy.byhand.norms: the letters that
   one statistic averages over, the letters along which gamma and beta vary, and whether a mean is
   subtracted. The page brings the rules along, so that they are written down once.

   No module and no fetch, which browsers refuse to pages that are opened as files. */
var normstudyAxes = (function () {
  "use strict";
  var AXES = "NGKS";

  /* For each cell, the number of the combination of these letters that it belongs to. */
  function places(letters, sizes) {
    var found = [];
    for (var n = 0; n < sizes[0]; n++)
      for (var g = 0; g < sizes[1]; g++)
        for (var k = 0; k < sizes[2]; k++)
          for (var s = 0; s < sizes[3]; s++) {
            var index = [n, g, k, s], place = 0;
            for (var a = 0; a < 4; a++)
              if (letters.indexOf(AXES[a]) >= 0) place = place * sizes[a] + index[a];
            found.push(place);
          }
    return found;
  }

  function others(letters) {
    return AXES.split("").filter(function (axis) { return letters.indexOf(axis) < 0; }).join("");
  }

  /* How many combinations there are. */
  function count(letters, sizes) {
    return sizes.reduce(function (product, size, a) {
      return letters.indexOf(AXES[a]) < 0 ? product : product * size;
    }, 1);
  }

  function sums(values, place, length) {
    var total = new Array(length).fill(0);
    values.forEach(function (value, i) { total[place[i]] += value; });
    return total;
  }

  function means(values, place, length) {
    return sums(values, place, length).map(function (total) {
      return total / (values.length / length);
    });
  }

  /* rule, sizes [N, G, K, S], x, gamma, beta, eps; running {mean, variance} in evaluation mode.
     mean, variance and rstd have one value for each set, the rest one for each cell. */
  function forward(rule, sizes, x, gamma, beta, eps, running) {
    var own = running ? "GK" : others(rule.over);
    var set = places(own, sizes), number = count(own, sizes);
    var affine = places(rule.affine, sizes);
    var mean, variance, deviation;
    function centre(values, middle) {
      return values.map(function (value, i) { return value - middle[set[i]]; });
    }
    if (running) {
      mean = running.mean.slice();
      variance = running.variance.slice();
      deviation = centre(x, mean);
    } else {
      mean = rule.centered ? means(x, set, number) : new Array(number).fill(0);
      deviation = centre(x, mean);
      if (rule.centered) deviation = centre(deviation, means(deviation, set, number));
      variance = means(deviation.map(function (d) { return d * d; }), set, number);
    }
    var rstd = variance.map(function (v) { return 1 / Math.sqrt(v + eps); });
    var xhat = deviation.map(function (d, i) { return d * rstd[set[i]]; });
    return {
      set: set, number: number, affine: affine, size: x.length / number, training: !running,
      gamma: gamma, mean: mean, variance: variance, rstd: rstd, deviation: deviation, xhat: xhat,
      y: xhat.map(function (z, i) { return gamma[affine[i]] * z + beta[affine[i]]; })
    };
  }

  /* From the gradient of y, those of x, gamma and beta, and what they are made of. */
  function backward(rule, out, gradY) {
    var g = gradY.map(function (d, i) { return d * out.gamma[out.affine[i]]; });
    var zeros = new Array(out.number).fill(0);
    var moment = out.training ? means(
      g.map(function (d, i) { return d * out.xhat[i]; }), out.set, out.number) : zeros;
    var mean = out.training && rule.centered ? means(g, out.set, out.number) : zeros;
    var products = gradY.map(function (d, i) { return d * out.xhat[i]; });
    return {
      g: g, mean: mean, moment: moment,
      x: g.map(function (d, i) {
        var s = out.set[i];
        return (d - mean[s] - out.xhat[i] * moment[s]) * out.rstd[s];
      }),
      gamma: sums(products, out.affine, out.gamma.length),
      beta: sums(gradY, out.affine, out.gamma.length)
    };
  }

  return { forward: forward, backward: backward, count: count };
})();
