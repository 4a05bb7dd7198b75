"""Displays values. A display belongs to the execution that asked for it.

If a value's representation fails, the failure is shown as an error.
"""

from __future__ import annotations

from typing import Any

from ipykernel.displayhook import ZMQShellDisplayHook
from ipykernel.zmqshell import ZMQDisplayPublisher


class DisplayPublisher(ZMQDisplayPublisher):
    """`display` and `clear_output`."""

    @property  # type: ignore[override]
    def parent_header(self) -> dict[str, Any]:
        """The header of the request that the calling thread or task works for: the same as for prints."""
        shell: Any = self.shell
        return dict(shell.kernel._stdout.parent_header)

    @parent_header.setter
    def parent_header(self, header: dict[str, Any]) -> None:
        """Nothing to do: the streams get the header too."""


class DisplayHook(ZMQShellDisplayHook):
    """The value of a cell's last line."""

    # Plain attributes instead of traits: nobody observes these, and they are set for every cell.
    parent_header: Any = {}
    exec_result: Any = None

    def quiet(self) -> bool:
        """Whether the cell ends in `;`. IPython looks at each token, so it is asked only if there is a `;`."""
        shell: Any = self.shell
        inputs = shell.history_manager.input_hist_parsed
        return bool(inputs and ";" in inputs[-1] and super().quiet())

    def cull_cache(self) -> None:
        """Drop the oldest result. IPython drops the oldest fifth, warns on stderr, and still keeps all in memory."""
        shell: Any = self.shell
        results = shell.user_ns["_oh"]
        while len(results) >= self.cache_size:
            number = next(iter(results))
            result, name = results.pop(number), f"_{number}"
            for names in (shell.user_ns, shell.user_ns_hidden):
                # The user may have given the name to something else.
                if names.get(name) is result:
                    del names[name]

    def log_output(self, format_dict: Any) -> None:
        """Keep the result's text for `%history -o`, for as many results as are kept."""
        super().log_output(format_dict)
        shell: Any = self.shell
        texts = shell.history_manager.output_hist_reprs
        while len(texts) > self.cache_size:
            del texts[next(iter(texts))]

    def start_displayhook(self) -> None:
        """Begin a message with only the fields that go over the link. It stays empty if the value displays itself."""
        self.msg = {
            "header": {"msg_type": "execute_result"},
            "parent_header": self.parent_header,
            "metadata": {},
            "content": {"data": {}, "metadata": {}},
        }

    def compute_format_data(self, result: Any) -> Any:
        """A value's representations. Raises what its `__repr__` raised: without a text there is nothing to show."""
        shell: Any = self.shell
        with shell.collected_errors() as errors:
            data, metadata = super().compute_format_data(result)
        if errors and "text/plain" not in data:
            raise errors[-1]
        for error in errors:
            shell.showtraceback((type(error), error, error.__traceback__))
        return data, metadata
