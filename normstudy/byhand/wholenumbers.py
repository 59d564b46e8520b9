"""The searches that found the tensor of the worked examples, and the gradient that goes back.

`search` looks for the smallest tensor of shape (2, 4, 2, 2), with whole numbers from 0 upwards,
that a reader can normalize without a calculator and learn from:

1. Every mean is a whole number and every variance the square of one, above 0, for batch, layer,
   instance and group norm (two groups) at once.
2. It teaches: the four channels have four different means and three different standard deviations,
   the two images differ, and no two of the norms agree on more than half of the maps.
3. Among the tensors with the smallest largest number, the first one with the most variety: most
   different numbers, then most different numbers within a map.

The statistics of a union of two equally large sets follow from those of its halves (`union`), so
the search joins maps to groups, groups to images and images to pairs, and never looks at a whole
tensor. Where the four numbers of a map stand does not matter to the four norms. `place` puts them
where the mean over the channels of a pixel, which channels-last layer norm takes, is whole too.

`search_gradient` looks for an upstream gradient G to go with it. The backward pass takes two means
over each set, of g = gamma G and of g xhat:

1. Both are whole numbers, for the same four norms.
2. The largest number of G is as small as it can be while neither mean is 0 over any map.
3. Among these, the one with the fewest means that are 0. With G the tensor -G would do as well; the
   one whose first map has a positive mean is taken.

Both means follow from the sums of g and of g x over the maps of a set, so it is these `Sums` that
are searched. Then each map gets the first four numbers with these sums that differ most.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations_with_replacement, permutations, product
from typing import Any, NamedTuple


class Stat(NamedTuple):
    """Mean and standard deviation of a set of numbers, both whole."""

    mean: int
    std: int


Map = tuple[int, ...]  # the four numbers of one channel of one image
Batch = tuple[tuple[Map, ...], ...]


class Image(NamedTuple):
    """Statistics of an image's four channels, of its two groups, and of all of it."""

    maps: tuple[Stat, ...]
    groups: tuple[Stat, Stat]
    layer: Stat


def stat(numbers: Sequence[int]) -> Stat | None:
    """Mean and standard deviation, or None if one is not whole or the second is 0.

    Examples
    --------
    >>> stat((0, 2, 2, 8)), stat((0, 1, 2, 3))
    (Stat(mean=3, std=3), None)
    """
    m = len(numbers)
    mean = sum(numbers) // m
    squares = sum((number - mean) ** 2 for number in numbers)
    std = math.isqrt(squares // m)
    whole = mean * m == sum(numbers) and std**2 * m == squares and std > 0
    return Stat(mean, std) if whole else None


def union(a: Stat, b: Stat) -> Stat | None:
    """Statistics of two equally large sets together: the variance within plus that between.

    Examples
    --------
    >>> union(stat((0, 2)), stat((2, 8))) == stat((0, 2, 2, 8))
    True
    """
    between = (a.mean - b.mean) ** 2
    if (a.mean + b.mean) % 2:
        return None
    squares = 2 * (a.std**2 + b.std**2) + between
    std = math.isqrt(squares // 4)
    return Stat((a.mean + b.mean) // 2, std) if std**2 * 4 == squares else None


def images(maps: Sequence[Stat]) -> Iterator[Image]:
    """Yield all images, from the statistics that their maps may have."""
    groups = defaultdict(list)
    for pair in product(maps, repeat=2):
        if both := union(*pair):
            groups[both].append(pair)
    for first, second in product(groups, repeat=2):
        if layer := union(first, second):
            for one, other in product(groups[first], groups[second]):
                yield Image((*one, *other), (first, second), layer)


def teaches(pair: Sequence[Image]) -> bool:
    """Whether two images make a batch that is by hand and worth it (rules 1 and 2)."""
    channels = [union(a, b) for a, b in zip(pair[0].maps, pair[1].maps, strict=True)]
    if None in channels or pair[0].layer == pair[1].layer:
        return False
    if len({s.mean for s in channels if s}) < 4 or len({s.std for s in channels if s}) < 3:
        return False
    norms = [
        (image.maps[c], channels[c], image.groups[c // 2], image.layer)
        for image in pair
        for c in range(4)
    ]
    agree = [sum(row[i] == row[j] for row in norms) for i in range(4) for j in range(i)]
    return max(agree) <= 4


def place(image: Sequence[Map], taken: Sequence[Map] = ()) -> tuple[Map, ...]:
    """Place the numbers of each map so that the pixels' statistics over channels are whole too.

    As many as possible are, among the ways that repeat no map of the image or of `taken`.
    """

    def score(maps: tuple[Map, ...]) -> tuple[int, int, int]:
        pixels = list(zip(*maps, strict=True))
        whole_means = sum(sum(pixel) % 4 == 0 for pixel in pixels)
        return len({*maps, *taken}), whole_means, sum(stat(pixel) is not None for pixel in pixels)

    return max(product(*(sorted(set(permutations(numbers))) for numbers in image)), key=score)


def variety(batch: Sequence[Sequence[Map]]) -> tuple[int, int]:
    """Different numbers in the batch, and different numbers in its maps, summed (rule 3)."""
    maps = [numbers for image in batch for numbers in image]
    return len({x for numbers in maps for x in numbers}), sum(len(set(n)) for n in maps)


def search() -> Batch:
    """Find the tensor: two images of four maps of four numbers (takes about a second)."""
    largest = 1
    while True:
        maps = defaultdict(list)
        for numbers in combinations_with_replacement(range(largest + 1), 4):
            if (key := stat(numbers)) is not None:
                maps[key].append(numbers)
        found = [
            batch
            for pair in product(images(list(maps)), repeat=2)
            if teaches(pair)
            for batch in product(*(product(*(maps[key] for key in im.maps)) for im in pair))
        ]
        if found:
            first, second = max(found, key=variety)
            return place(first), place(second, taken=place(first))
        largest += 1


class Sums(NamedTuple):
    """Sums over the four cells of a map: of the gradient g, and of g times x."""

    g: int
    gx: int


def backward_means(maps: Sequence[Map], sums: Sequence[Sums]) -> tuple[int, int] | None:
    """Means of g and of g xhat over some maps of x together, or None if one is not whole.

    Examples
    --------
    For x = 0, 0, 2, 2 standardized is -1, -1, 1, 1; g may be 0, -4, 4, 4:

    >>> backward_means([(0, 0, 2, 2)], [Sums(g=4, gx=16)])
    (1, 3)
    """
    numbers = [x for numbers in maps for x in numbers]
    if (x := stat(numbers)) is None:
        return None
    g, g_deviation = sum(s.g for s in sums), sum(s.gx - x.mean * s.g for s in sums)
    size = len(numbers)
    if g % size or g_deviation % (size * x.std):
        return None
    return g // size, g_deviation // (size * x.std)


def gradients(numbers: Map, gamma: int, largest: int) -> dict[Sums, Map]:
    """One map of G for all sums that it may have over a map of x, most different numbers first.

    Both of its means are whole and not 0, and its numbers are -largest to largest.
    """
    found: dict[Sums, Map] = {}
    every = product(range(-largest, largest + 1), repeat=len(numbers))
    for grad in sorted(every, key=lambda grad: -len(set(grad))):
        gx = sum(g * x for g, x in zip(grad, numbers, strict=True))
        sums = Sums(gamma * sum(grad), gamma * gx)
        if all(backward_means([numbers], [sums]) or [0]):
            found.setdefault(sums, grad)
    return found


def sets(batch: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
    """Say which maps share a mean: the channels, the images, and the groups of two channels."""
    groups = [image[c : c + 2] for image in batch for c in (0, 2)]
    return [*zip(*batch, strict=True), *batch, *groups]


def search_gradient(x: Batch, gamma: Sequence[int]) -> Batch:
    """Find the upstream gradient for two images x of four maps.

    Examples
    --------
    >>> search_gradient(search(), gamma=(1, 2, 3, -1))[0]
    ((-1, 1, 2, 2), (0, -2, 2, -2), (2, -2, 2, 2), (-1, 1, -2, -2))
    """

    def means(maps: Batch, sums: Sequence[Sequence[Sums]]) -> list[tuple[int, int] | None]:
        return list(map(backward_means, sets(maps), sets(sums)))

    def zeros(sums: Sequence[Sequence[Sums]]) -> int:
        return sum(pair.count(0) for pair in means(x, sums) if pair)

    largest = 1
    while True:
        options = [[gradients(m, c, largest) for m, c in zip(im, gamma, strict=True)] for im in x]
        images = [
            [sums for sums in product(*maps) if None not in means((image,), (sums,))]
            for image, maps in zip(x, options, strict=True)
        ]
        found = [sums for sums in product(*images) if None not in means(x, sums)]
        if found:
            first, second = max(found, key=lambda sums: (-zeros(sums), sums))
            return _look_up(options[0], first), _look_up(options[1], second)
        largest += 1


def _look_up(options: Sequence[dict[Sums, Map]], image: Sequence[Sums]) -> tuple[Map, ...]:
    return tuple(maps[sums] for maps, sums in zip(options, image, strict=True))
