"""The laws of `benchmarks.speed` in PyTorch: torchdiffeq, torchode, and a sparse product with a gradient of its own.

Runs in an environment of its own (``requirements.txt``). Reads arrays from the folder given, then one name of a method per
line from standard input; answers each with one line of JSON: seconds of one step with gradient, and its loss.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from torchdiffeq import odeint, odeint_adjoint

warnings.simplefilter("ignore")
TOLERANCE = {"rtol": 1e-3, "atol": 1e-3}


class CsrProduct(torch.autograd.Function):
    """``W @ x`` for a sparse ``W``, with the gradient of its edges alone (``sampled_addmm``), and ``Wᵀ`` kept as rows."""

    @staticmethod
    def forward(ctx, weight, x, edges):
        ctx.save_for_backward(weight, x)
        ctx.edges = edges
        return torch.sparse_csr_tensor(edges["crow"], edges["col"], weight, edges["shape"]) @ x

    @staticmethod
    def backward(ctx, pulled):
        weight, x = ctx.saved_tensors
        e = ctx.edges
        back = torch.sparse_csr_tensor(e["t_crow"], e["t_col"], weight[e["t_edge"]], e["shape"][::-1])
        empty = torch.sparse_csr_tensor(e["crow"], e["col"], torch.zeros_like(weight), e["shape"])
        return torch.sparse.sampled_addmm(empty, pulled, x.T, beta=0.0).values(), back @ pulled, None


class Law(torch.nn.Module):
    """Production minus degradation, as in `semimech.model.MechanisticDynamics` with a learned residual."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        super().__init__()
        fixed = ("activity", "own", "n_edits", "z0", "target", "hours")
        for name, value in arrays.items():
            tensor = torch.from_numpy(value)
            is_trained = name not in fixed and tensor.dtype == torch.float32
            setattr(self, name, torch.nn.Parameter(tensor) if is_trained else tensor)
        self.edges = None
        if "crow" in arrays:
            names = ("crow", "col", "t_crow", "t_col", "t_edge")
            self.edges = {name: torch.from_numpy(arrays[name].astype(np.int64)) for name in names}
            self.edges["shape"] = (arrays["z0"].shape[1], arrays["activity"].shape[1])

    def said(self, signal: torch.Tensor) -> torch.Tensor:
        if self.edges is None:
            return signal @ self.weight.T
        return CsrProduct.apply(self.weight, signal.T.contiguous(), self.edges).T

    def forcing(self, z: torch.Tensor) -> torch.Tensor:
        signal = self.activity * torch.log2(1.0 + z.clamp(min=0.0)) - 1.0
        drive = self.said(signal) + self.n_edits * self.edit_effect + self.bias
        headroom = torch.exp(self.log_headroom)
        production = torch.exp(drive.clamp(max=0.0)) - headroom * torch.expm1(-drive.clamp(min=0.0) / headroom)
        if hasattr(self, "enter"):
            features = torch.cat([signal, torch.zeros_like(z), self.n_edits], dim=1)
            residual = torch.tanh(features @ self.enter + self.enter_bias) @ self.leave + self.leave_bias
            production = production * torch.exp(residual.clamp(-5.0, 5.0))
        return torch.exp(self.log_degradation) * self.own * production

    def forward(self, t: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        return self.forcing(z) - torch.exp(self.log_degradation) * z

    def loss(self, states: torch.Tensor) -> torch.Tensor:
        return ((states - self.target) ** 2).mean()


def exponential(law: Law) -> torch.Tensor:
    """ETD2RK with the steps of the grid, as in `semimech.model.ExponentialSolver`."""
    z, decay, states = law.z0, torch.exp(law.log_degradation), []
    for step in torch.diff(law.hours):
        x = step * decay
        phi1 = -torch.expm1(-x) / x
        phi2 = (1.0 - phi1) / x
        now = law.forcing(z)
        predicted = torch.exp(-x) * z + step * phi1 * now
        z = predicted + step * phi2 * (law.forcing(predicted) - now)
        states.append(z)
    return torch.stack(states)


def with_torchode(law: Law) -> torch.Tensor:
    import torchode

    term = torchode.ODETerm(lambda t, z: law(t, z))
    method = torchode.Dopri5(term)
    controller = torchode.IntegralController(term=term, **TOLERANCE)
    adjoint = torchode.AutoDiffAdjoint(method, controller)
    times = law.hours.repeat(len(law.z0), 1)
    found = adjoint.solve(torchode.InitialValueProblem(y0=law.z0, t_eval=times)).ys
    return found.transpose(0, 1)[1:]


METHODS = {
    "dopri5": lambda law: odeint(law, law.z0, law.hours, method="dopri5", **TOLERANCE)[1:],
    "dopri5 adjoint": lambda law: odeint_adjoint(law, law.z0, law.hours, method="dopri5", **TOLERANCE)[1:],
    "torchode": with_torchode,
    "exponential": exponential,
}


def main() -> None:
    folder = Path(sys.argv[1])
    torch.set_num_threads(int(sys.argv[2]))
    laws: dict[str, Law] = {}
    for line in sys.stdin:
        problem, method = line.strip().split("\t")
        if problem not in laws:
            with np.load(folder / f"{problem}.npz") as arrays:
                laws[problem] = Law(dict(arrays))
        law = laws[problem]
        law.zero_grad()
        start = time.perf_counter()
        states = METHODS[method](law)
        loss = law.loss(states)
        loss.backward()
        seconds = time.perf_counter() - start
        np.save(folder / f"{problem}-{method.replace(' ', '_')}.npy", states.detach().numpy())
        print(json.dumps({"seconds": seconds, "loss": float(loss.detach())}), flush=True)


if __name__ == "__main__":
    main()
