"""The pictures of the README: `PICTURES=docs/img pytest tests/browser/test_pictures.py` makes them anew."""

import os
from pathlib import Path

import pytest


@pytest.mark.parametrize(("name", "view"), [("home", "home_connected"), ("link", "link_waiting_for_scan")])
def test_the_readme_shows_the_product_as_it_is(name, view, gallery, window, visitor, tmp_path):
    page = window(gallery.url, storage_state=visitor).page
    page.goto(gallery.prepare(view))
    picture = Path(os.environ.get("PICTURES", tmp_path)) / f"{name}.png"
    page.screenshot(path=picture, full_page=name == "home")
    assert picture.stat().st_size > 20_000
