"""What the page "Turn the knobs" computes in the browser equals torch and the worked examples."""

import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from normstudy.byhand import norms, reference
from normstudy.byhand.examples import BETA, GAMMA, GRAD_Y, NUM_GROUPS, SHAPE, X
from normstudy.byhand.norms import INDEX_SETS, RunningStatistics

SCRIPT = Path(__file__).parents[1] / "docs" / "_static" / "axes-math.js"
NAMES = [name for name in INDEX_SETS if name != "weight"]  # that one is of no batch
CALL = """
function call(text) {
  var given = JSON.parse(text), rule = given.rule;
  var out = normstudyAxes.forward(rule, given.sizes, given.x, given.gamma, given.beta, given.eps,
                                  given.running);
  return JSON.stringify({out: out, grad: normstudyAxes.backward(rule, out, given.grad_y)});
}
"""


@pytest.fixture(scope="module")
def call():
    context = pytest.importorskip("quickjs", reason="no wheels from Python 3.13 on").Context()
    context.eval(SCRIPT.read_text(encoding="utf-8") + CALL)
    function = context.get("call")

    def compute(x, norm, gamma, beta, grad_y, *, num_groups=1, eps=1e-5, running=None):
        n, c, *positions = x.shape
        rule = INDEX_SETS[norm]
        given = {
            "rule": {"over": rule.over, "affine": rule.affine, "centered": rule.centered},
            "sizes": [n, num_groups, c // num_groups, math.prod(positions)],
            "eps": eps,
            "running": running
            and {"mean": running.mean.tolist(), "variance": running.var.tolist()},
        }
        tensors = {"x": x, "gamma": gamma, "beta": beta, "grad_y": grad_y}
        given |= {name: tensor.flatten().tolist() for name, tensor in tensors.items()}
        found = json.loads(function(json.dumps(given)))
        return {part: {k: torch.tensor(v, dtype=torch.float64) for k, v in values.items()
                       if isinstance(v, list)} for part, values in found.items()}  # fmt: skip

    return compute


def expected(x, norm, gamma, beta, grad_y, **options):
    out = norms.forward(x, norm, gamma, beta, **options)
    return out, norms.backward(grad_y, out)


def assert_equal(found, out, grad, **tolerance):
    pairs = {
        "mean": (found["out"]["mean"], out.mean.flatten()),
        "variance": (found["out"]["variance"], out.var.flatten()),
        "xhat": (found["out"]["xhat"], out.xhat.flatten()),
        "y": (found["out"]["y"], out.y.flatten()),
        "grad of x": (found["grad"]["x"], grad.x.flatten()),
        "grad of gamma": (found["grad"]["gamma"], grad.weight.flatten()),
        "grad of beta": (found["grad"]["beta"], grad.bias.flatten()),
    }
    for name, (ours, theirs) in pairs.items():
        torch.testing.assert_close(ours, theirs, **tolerance, msg=lambda m, n=name: f"{n}: {m}")


def in_torch(norm, x, gamma, beta, grad_y, num_groups, running):
    """Compute output and gradients by the layers of PyTorch, in training or by running averages."""
    if running is None:
        given = (norm, x, gamma, beta, grad_y)
        return reference.by_torch(*given, num_groups=num_groups, eps=1e-5)
    leaf = x.clone().requires_grad_()
    if norm == "batch":
        y = F.batch_norm(leaf, running.mean, running.var, gamma, beta, eps=1e-5)
    else:
        given = (leaf, running.mean, running.var, gamma, beta)
        y = F.instance_norm(*given, use_input_stats=False, eps=1e-5)
    return {"y": y.detach(), "grad_x": torch.autograd.grad(y, leaf, grad_y)[0]}


@pytest.mark.parametrize("norm", NAMES)
def test_the_worked_integers_come_out(call, norm):
    x, grad_y = (torch.tensor(v, dtype=torch.float64).reshape(SHAPE) for v in (X, GRAD_Y))
    shape = norms.affine_shape(SHAPE, norm)
    per_channel = [torch.tensor(v, dtype=torch.float64) for v in (GAMMA, BETA)]
    gamma, beta = (
        v if len(shape) == 1 else v[:, None, None].expand(shape).contiguous() for v in per_channel
    )
    groups = {"num_groups": NUM_GROUPS if norm == "group" else 1, "eps": 0.0}
    found = call(x, norm, gamma, beta, grad_y, **groups)
    out, grad = expected(x, norm, gamma, beta, grad_y, **groups)
    assert_equal(found, out, grad, rtol=0, atol=1e-12)


@settings(max_examples=2_000)
@given(
    norm=st.sampled_from(NAMES),
    shape=st.tuples(*[st.integers(1, 4)] * 4),
    groups=st.integers(1, 4),
    seed=st.integers(0, 2**31),
    scale=st.sampled_from([1e-3, 1, 1e3]),
    evaluate=st.booleans(),
)
def test_any_batch_comes_out_as_in_torch(call, norm, shape, groups, seed, scale, evaluate):
    n, c, h, w = shape
    num_groups = groups if norm == "group" and c % groups == 0 else 1
    generator = torch.Generator().manual_seed(seed)

    def draw(*size):
        return torch.randn(size, generator=generator).double()

    x, grad_y = scale * (draw(*shape) + 3), draw(*shape)
    gamma, beta = (draw(*norms.affine_shape(shape, norm)) for _ in range(2))
    if norm == "rms":
        beta.zero_()  # PyTorch's has none
    options = {"num_groups": num_groups}
    if evaluate and norm in ("batch", "instance"):
        options["running"] = RunningStatistics(draw(c), draw(c).square() + 0.1)
    values = {"batch": n * h * w, "instance": h * w, "group": c // num_groups * h * w}
    values |= {"layer": c * h * w, "layer_chw": c * h * w, "layer_channels": c, "rms": c}
    if "running" not in options and values[norm] < 2:
        return  # refused by the package, and by the page
    found = call(x, norm, gamma, beta, grad_y, **options)
    out, grad = expected(x, norm, gamma, beta, grad_y, **options)
    assert_equal(found, out, grad, rtol=1e-9, atol=1e-9)
    theirs = in_torch(norm, x, gamma, beta, grad_y, num_groups, options.get("running"))
    ours = {"y": found["out"]["y"], "grad_x": found["grad"]["x"]}
    ours |= {"grad_gamma": found["grad"]["gamma"], "grad_beta": found["grad"]["beta"]}
    for name, value in theirs.items():
        close = {"rtol": 1e-9, "atol": 1e-9, "msg": lambda m, n=name: f"{n}: {m}"}
        torch.testing.assert_close(ours[name], value.flatten(), **close)
