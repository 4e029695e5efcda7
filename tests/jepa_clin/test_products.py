"""Products of rows and a matrix, by the quicker of two libraries."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from jepa_clin import products
from jepa_clin.products import ALIKE, LARGE, WORTH, Linear, linear

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this torch has no oneDNN")

ROWS, INPUTS, OUTPUTS = 256, 96, 128


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Shapes of the rows whose products oneDNN is asked for."""
    shapes, product = list[tuple[int, ...]](), products._product

    def noting(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        shapes.append(tuple(rows.shape))
        return product(rows, weight, bias)

    monkeypatch.setattr(products, "_product", noting)
    return shapes


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape)))


def with_gradients(multiply: object, *given: Tensor | None) -> list[Tensor]:
    """The product and its gradients, under a drawn gradient of its own."""
    own = [None if tensor is None else tensor.detach().clone().requires_grad_() for tensor in given]
    product = multiply(*own)  # type: ignore[operator]
    product.backward(drawn(*product.shape))
    return [product.detach(), *(tensor.grad for tensor in own if tensor is not None and tensor.grad is not None)]


@pytest.mark.parametrize("bias", [drawn(OUTPUTS), None], ids=["with_a_bias", "without"])
@pytest.mark.parametrize("shape", [(ROWS, INPUTS), (8, ROWS // 8, INPUTS), (ROWS - 3, INPUTS)])
def test_products_and_gradients_are_those_of_torch_beyond_rounding(
    bias: Tensor | None, shape: tuple[int, ...], asked: list[tuple[int, ...]]
) -> None:
    ours = with_gradients(linear, drawn(*shape), drawn(OUTPUTS, INPUTS), bias)
    assert len(asked) == 3, "forward, of the rows, of the weight"
    theirs = with_gradients(F.linear, drawn(*shape), drawn(OUTPUTS, INPUTS), bias)
    assert len(ours) == len(theirs) == (4 if bias is not None else 3)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("count", [1, 2, 7, 8, 31, 200])
def test_the_bits_of_a_row_do_not_depend_on_how_many_lie_beside_it(count: int) -> None:
    rows, weight, bias = drawn(ROWS, INPUTS), drawn(OUTPUTS, INPUTS), drawn(OUTPUTS)
    assert torch.equal(linear(rows[:count], weight, bias), linear(rows, weight, bias)[:count])
    assert torch.equal(linear(rows[-count:], weight, bias), linear(rows, weight, bias)[-count:])


def test_kernels_are_asked_for_multiples_of_some_rows_alone(asked: list[tuple[int, ...]]) -> None:
    with_gradients(linear, drawn(ROWS - 3, INPUTS), drawn(OUTPUTS, INPUTS), None)
    assert asked == [(ROWS, INPUTS), (ROWS, OUTPUTS), (OUTPUTS, ROWS)]
    assert ROWS % ALIKE == 0


def test_rows_that_do_not_lie_one_behind_the_other_are_taken_too() -> None:
    rows, weight = drawn(ROWS, 2, INPUTS)[:, 1], drawn(OUTPUTS, INPUTS)
    torch.testing.assert_close(linear(rows, weight), F.linear(rows, weight), rtol=1e-5, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize(
    ("rows", "outputs"),
    [(drawn(ROWS, INPUTS), LARGE // INPUTS - 1), (drawn(ROWS, INPUTS).double(), OUTPUTS), (drawn(0, INPUTS), OUTPUTS)],
    ids=["by_a_small_weight", "of_another_type", "none"],
)
def test_other_rows_are_left_to_torch(rows: Tensor, outputs: int, asked: list[tuple[int, ...]]) -> None:
    weight = drawn(outputs, INPUTS).to(rows.dtype)
    assert torch.equal(linear(rows, weight), F.linear(rows, weight))
    assert not asked


def test_few_rows_that_want_gradients_are_left_to_torch(asked: list[tuple[int, ...]]) -> None:
    few = WORTH // (INPUTS * OUTPUTS) - 1
    with_gradients(linear, drawn(few, INPUTS), drawn(OUTPUTS, INPUTS), None)
    assert not asked


def test_a_gradient_may_be_differentiated_again() -> None:
    weight = drawn(OUTPUTS, INPUTS)

    def penalty(multiply: object) -> Tensor:
        rows = drawn(ROWS, INPUTS).requires_grad_()
        product = multiply(rows, weight).tanh().sum()  # type: ignore[operator]
        (gradient,) = torch.autograd.grad(product, rows, create_graph=True)
        return torch.autograd.grad(gradient.square().sum(), rows)[0]

    torch.testing.assert_close(penalty(linear), penalty(F.linear), rtol=1e-3, atol=1e-2)


def test_autocast_decides_the_type_of_a_product() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert linear(drawn(ROWS, INPUTS), drawn(OUTPUTS, INPUTS)).dtype == torch.bfloat16


def test_an_exported_program_holds_what_torch_documents_alone_and_takes_any_number_of_rows() -> None:
    varying = {0: torch.export.Dim("rows", min=1)}
    program = torch.export.export(Linear(INPUTS, OUTPUTS), (drawn(ROWS, INPUTS),), dynamic_shapes=(varying,))
    called = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert called == {"aten.linear.default"}
    for rows in (1, 32, 4_096):
        assert program.module()(torch.ones(rows, INPUTS)).shape == (rows, OUTPUTS)
