"""Pictures of Pillow are displayed when code shows them, and also when it saves them under a name.

matplotlib saves its figures with Pillow. So a figure is displayed, too, when it is saved as PNG or JPEG.
"""

from __future__ import annotations

import functools
import importlib
from contextlib import suppress
from typing import Any

from IPython.core.display_functions import display

from cellhouse_kernel.forked_child import is_forked_child


def display_images() -> None:
    """Display images from now on, as described above."""
    # If matplotlib is imported, so is Pillow.
    image_class: Any = importlib.import_module("PIL.Image").Image
    save = image_class.save

    @functools.wraps(save)
    def save_and_display(self: Any, fp: Any, *args: Any, **kwargs: Any) -> None:
        save(self, fp, *args, **kwargs)
        if isinstance(fp, str):
            _display(self)

    def show(self: Any, title: str | None = None) -> None:
        """Display this image. There is no window whose title could be set."""
        _display(self)

    image_class.save = save_and_display
    image_class.show = show


def _display(image: Any) -> None:
    """Display it if that is possible. Saving must not fail because of it."""
    if not is_forked_child():
        with suppress(Exception):
            display(image)
