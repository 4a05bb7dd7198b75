"""Pictures are displayed when they are shown or saved: with a real kernel. Run as root in the worker image."""

from tests.e2b.with_sandbox import WithSandbox

IMAGE = """
import io, pathlib, tempfile
from PIL import Image
image = Image.new("%s", (4, 4))
path = tempfile.mkdtemp() + "/a.%s"
"""
PNG = "iVBORw0KGgo"


class Images(WithSandbox):
    """Image.save and Image.show."""

    async def test_a_picture_is_displayed_when_it_is_shown_saved_or_the_result(self) -> None:
        for code in ("image.show()", "image.show(title='A')", "image.save(path)", "image"):
            data = await self.shown(IMAGE % ("RGBA", "png") + code)
            self.assertTrue(data["image/png"].startswith(PNG), code)
        code = (
            "image.save(fp=path, format='JPEG', quality=50)\nassert Image.open(path).size == (4, 4)"
        )
        self.assertIn("image/png", await self.shown(IMAGE % ("RGB", "jpg") + code))

    async def test_a_picture_saved_to_a_stream_or_path_object_is_not_displayed(self) -> None:
        for code in ("image.save(io.BytesIO(), 'PNG')", "image.save(pathlib.Path(path))"):
            self.assertEqual(await self.run_cell(IMAGE % ("RGB", "png") + code), [], code)

    async def test_a_figure_that_is_saved_is_displayed(self) -> None:
        code = "import matplotlib.pyplot as plt\nlines = plt.plot([1, 2, 3]); plt.savefig(path); plt.close()"
        self.assertIn("image/png", await self.shown(IMAGE % ("RGB", "png") + code))

    async def test_a_picture_that_cannot_be_displayed_is_saved(self) -> None:
        code = "image.save(path)\nassert Image.open(path).mode == 'CMYK'"
        data = await self.shown(IMAGE % ("CMYK", "tiff") + code)
        self.assertNotIn("image/png", data)
        broken = "def fails(*args): raise ValueError\n"
        broken += "get_ipython().display_formatter.format = fails\nimage.save(path)\nimage.show()\n"
        self.assertEqual(await self.run_cell(IMAGE % ("RGB", "png") + broken), [])

    async def test_a_picture_that_cannot_be_saved_is_an_error_and_not_displayed(self) -> None:
        outcome, _ = await self.run_code("fails", IMAGE % ("RGB", "nonsense") + "image.save(path)")
        types = [frame["header"]["msg_type"] for frame in self.frames("fails")]
        self.assertEqual(
            (outcome, types.count("error"), types.count("display_data")), ("finished", 1, 0)
        )

    async def test_a_forked_child_saves_and_displays_nothing(self) -> None:
        code = """
import os, warnings
warnings.simplefilter("ignore")
pid = os.fork()
if not pid:
    image.save(path); os._exit(0)
assert os.waitpid(pid, 0)[1] == 0 and os.path.exists(path)
"""
        self.assertEqual(await self.run_cell(IMAGE % ("RGB", "png") + code), [])
