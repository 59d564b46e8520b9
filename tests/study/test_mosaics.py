"""Images stand where rows and columns say, with their texts beneath them."""

import matplotlib.pyplot as plt
import numpy as np

from normstudy.study.mosaics import captioned, mosaic

GREYS = np.linspace(0.1, 0.9, 6)[:, None, None, None] * np.ones((6, 8, 8, 3))


def test_a_mosaic_holds_every_image_in_its_place_and_nothing_between():
    ax = plt.figure().add_subplot()
    mosaic(ax, GREYS, step=10, wide=12, columns=3, rows=2)
    (shown,) = (image.get_array() for image in ax.images)
    assert shown.shape == (20, 36, 4)
    for i, grey in enumerate(GREYS[:, 0, 0, 0]):
        y, x = i // 3 * 10, i % 3 * 12
        assert (shown[y : y + 8, x : x + 8, :3] == grey).all()
    assert shown[..., 3].sum() == 6 * 64
    assert not shown[8:10, :, 3].any()
    assert not shown[:, 8:12, 3].any()


def test_each_image_has_its_text_beneath_it():
    texts = [f"image {i}" for i in range(6)]
    fig = captioned(GREYS, texts, (2, 3), "Six greys", "From dark to light.")
    (ax,) = fig.axes
    found = {text.get_text(): text.get_position() for text in ax.texts}
    assert list(found) == texts
    step, wide = ax.images[0].get_array().shape[0] // 2, ax.images[0].get_array().shape[1] // 3
    for i, text in enumerate(texts):
        x, y = found[text]
        assert x == i % 3 * wide
        assert 8 <= y - i // 3 * step < step
    assert "Six greys" in [text.get_text() for text in fig.texts]
