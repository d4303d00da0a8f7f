"""Are the operations of a training the same, bit by bit, on this processor as on others?

    python -m benchmarks.bits              # instruction sets pinned, float32, one thread
    python -m benchmarks.bits --free       # as torch chooses them

Each operation of the default model's training gets inputs that are made from integers, and a hash
of what it gives is printed. bits.md has those of other processors. The pins are read when a library
is first used: they are set here before torch is imported.
"""

import argparse
import hashlib
import os
from collections.abc import Iterator

PINS = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "COMPATIBLE",
    "OMP_NUM_THREADS": "1",
}
CONVOLUTIONS = {  # batch, channels in, out, side, kernel, stride
    "convolution 3 to 32, stride 2": (32, 3, 32, 48, 3, 2),
    "convolution 32 to 32": (32, 32, 32, 12, 3, 1),
    "convolution 48 to 96, stride 2": (32, 48, 96, 6, 3, 2),
    "convolution 32 to 48, 1 x 1": (32, 32, 48, 12, 1, 1),
}
PRODUCTS = ((128, 128, 128), (128, 96, 64), (1536, 64, 192), (64, 128, 4258))


def operations() -> Iterator[tuple[str, str]]:
    """Name and hash of each."""
    import torch
    from torch.nn import functional

    draw = torch.Generator().manual_seed(0)

    def integers(*shape: int) -> torch.Tensor:
        return torch.randint(-1000, 1000, shape, generator=draw).float() / 1000

    def digest(*tensors: torch.Tensor | None) -> str:
        parts = [one.detach().contiguous().numpy().tobytes() for one in tensors if one is not None]
        return hashlib.sha256(b"".join(parts)).hexdigest()[:12]

    def last(*shape: int) -> torch.Tensor:
        return integers(*shape).contiguous(memory_format=torch.channels_last)

    for name, (batch, inward, outward, side, kernel, stride) in CONVOLUTIONS.items():
        x = last(batch, inward, side, side).requires_grad_()
        w = (last(outward, inward, kernel, kernel) * 0.1).requires_grad_()
        y = functional.conv2d(x, w, stride=stride, padding=kernel // 2)
        y.backward(last(*y.shape))
        yield name, digest(y)
        yield f"{name}, gradient of its input", digest(x.grad)
        yield f"{name}, gradient of its weights", digest(w.grad)
    for rows, inner, columns in PRODUCTS:
        product = integers(rows, inner) @ integers(inner, columns)
        yield f"matrix product {rows} x {inner} x {columns}", digest(product)
    x, norm = last(32, 64, 12, 12).requires_grad_(), torch.nn.BatchNorm2d(64)
    y = norm(x)
    y.backward(last(*y.shape))
    yield "batch normalisation and its gradients", digest(y, x.grad, norm.weight.grad)
    x, layer = integers(128, 12, 64).requires_grad_(), torch.nn.LayerNorm(64)
    y = layer(x)
    y.backward(integers(*y.shape))
    yield "layer normalisation and its gradients", digest(y, x.grad, layer.weight.grad)
    x = last(32, 32, 24, 24).requires_grad_()
    y = functional.max_pool2d(x, 3, 2, 1)
    y.backward(integers(*y.shape))
    yield "max pooling and its gradient", digest(y, x.grad)
    x = (integers(128, 256) * 3).requires_grad_()
    y = functional.gelu(x)
    y.sum().backward()
    yield "GELU and its gradient", digest(y, x.grad)
    query, key, value = (integers(8, 2, 12, 32) for _ in range(3))
    yield "attention", digest(functional.scaled_dot_product_attention(query, key, value))
    yield "log softmax", digest(functional.log_softmax(integers(128, 128) * 10, 1))
    yield "normalised rows", digest(functional.normalize(integers(128, 128), dim=-1))
    yield "sum, and mean over rows", digest(integers(5000).sum(), integers(500, 77).mean(0))
    yield "exponential", digest(torch.exp(integers(1000)))
    yield "square root", digest(torch.sqrt(integers(100_000).abs() + 0.001))
    for fused in (False, True):
        weight = torch.nn.Parameter(integers(5000))
        optimiser = torch.optim.AdamW([weight], lr=1e-3, fused=fused)
        for _ in range(3):
            weight.grad = integers(5000)
            optimiser.step()
        yield f"three steps of AdamW{', fused' if fused else ''}", digest(weight)


def main() -> None:
    """Print all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--free", action="store_true", help="instruction sets as torch chooses")
    if not parser.parse_args().free:
        os.environ |= PINS
    import torch

    from benchmarks.machine import describe

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    print(describe("torch"))
    for name, digest in operations():
        print(f"{name:55} {digest}")


if __name__ == "__main__":
    main()
