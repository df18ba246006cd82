"""Shapes of the parameters of real models."""

from __future__ import annotations


def resnet50() -> list[tuple[int, ...]]:
    """Shapes of ResNet-50's parameters."""
    shapes: list[tuple[int, ...]] = [(64, 3, 7, 7), (64,), (64,)]
    inside = 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(blocks):
            convolutions = [(width, inside, 1, 1), (width, width, 3, 3), (4 * width, width, 1, 1)]
            if block == 0:
                convolutions.append((4 * width, inside, 1, 1))
            for shape in convolutions:
                shapes += [shape, shape[:1], shape[:1]]
            inside = 4 * width
    return [*shapes, (1000, 2048), (1000,)]


def bert_base() -> list[tuple[int, ...]]:
    """Shapes of BERT-base's parameters."""
    d = 768
    shapes: list[tuple[int, ...]] = [(30522, d), (512, d), (2, d), (d,), (d,)]
    for _ in range(12):
        shapes += [(d, d), (d,)] * 4 + [(d,), (d,)]
        shapes += [(4 * d, d), (4 * d,), (d, 4 * d), (d,), (d,), (d,)]
    return [*shapes, (d, d), (d,)]


def hidden(i: int, shape: tuple[int, ...]) -> bool:
    """Whether parameter i of BERT-base is one of the matrices that Muon is for."""
    return len(shape) == 2 and i > 4
