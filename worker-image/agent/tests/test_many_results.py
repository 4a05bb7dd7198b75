"""A session with more results than are kept."""

from tests.with_executor import WithExecutor

# The most results that `Out`, `_1`, `_2`, ... hold: IPython's default.
DEFAULT = 1_000
# What the test sets in place of the default.
KEPT_RESULTS = 100
MORE = 5
VALUE = f"""
print(get_ipython().displayhook.cache_size)
get_ipython().displayhook.cache_size = {KEPT_RESULTS}
import gc, weakref
class Value:
    living = weakref.WeakSet()
    def __init__(self): self.living.add(self)
"""
LOOK = f"""
_ = gc.collect()
names = [n for n in range({KEPT_RESULTS + MORE + 2}) if f"_{{n}}" in globals()]
print(len(Value.living), names == [2, *Out], len(Out), Out[names[-1]] is eval(f"_{{names[-1]}}"))
print(_2, len(get_ipython().history_manager.output_hist_reprs))
"""


class ManyResultsTest(WithExecutor):
    """On a real kernel."""

    async def test_the_newest_results_are_kept_and_the_oldest_silently_dropped(self) -> None:
        self.assertEqual(await self.run_code("value", VALUE), ("finished", f"{DEFAULT}\n"))
        for number in range(KEPT_RESULTS + MORE):
            # `_2` becomes the user's own variable, so it stays.
            code = "_2 = 'mine'\nValue()" if number == 1 else "Value()"
            ran = await self.run_code(f"{number}", code)
            self.assertEqual(ran, ("finished", ""))
            self.executor.ack(self.buffer.last_seq)
        _, text = await self.run_code("look", LOOK)
        expected = f"{KEPT_RESULTS} True {KEPT_RESULTS} True\nmine {KEPT_RESULTS}\n"
        self.assertEqual(text, expected)
