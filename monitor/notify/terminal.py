"""Messages on a terminal: boxed and colored where there is one, plain text where there is none.

Text from outside goes in as `rich.text.Text`, which knows no markup, with control characters removed: a key's name can
neither color the screen nor move the cursor.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from monitor.domain import Clock, Message, MessageKind, Receipt, Severity
from monitor.errors import DeliveryError
from monitor.notify.slack_blocks import SYMBOLS
from monitor.wording import one_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.panel import Panel

_STYLES: Final = {Severity.NOTICE: "blue", Severity.WARNING: "yellow", Severity.CRITICAL: "red"}
_MARKS: Final = {Severity.NOTICE: "notice", Severity.WARNING: "WARNING", Severity.CRITICAL: "CRITICAL"}


def plain_text(message: Message) -> str:
    """The whole message as lines of text, for a pipe, a log or a file."""
    mark = "" if message.kind in {MessageKind.RESOLVED, MessageKind.DIGEST} else f"{_MARKS[message.severity]}: "
    lines = [f"{mark}{one_line(message.title)}", one_line(message.summary)]
    width = max((len(one_line(label)) for label, _ in message.facts), default=0)
    lines += [f"  {one_line(label):<{width}}  {one_line(value)}" for label, value in message.facts]
    lines += _listed("Why", message.evidence)
    for heading, items in message.sections:
        lines += _listed(heading, items)
    if message.undo:
        lines.append(f"To undo: {one_line(message.undo)}")
    if message.footer:
        lines.append(one_line(message.footer))
    return "\n".join(lines)


def panel(message: Message) -> Panel:
    """The message as a box for a rich console."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    color = "green" if message.kind is MessageKind.RESOLVED else _STYLES[message.severity]
    parts: list[Text | Table | Padding] = [Text(one_line(message.summary), style="bold")]
    if message.facts:
        facts = Table(box=None, show_header=False, pad_edge=False)
        facts.add_column(style="dim", no_wrap=True)
        facts.add_column(overflow="fold")
        for label, value in message.facts:
            facts.add_row(Text(one_line(label)), Text(one_line(value)))
        parts.append(Padding(facts, (1, 0, 0, 0)))
    for heading, items in (("Why", message.evidence), *message.sections):
        if items:
            body = Text("\n").join(
                [Text(one_line(heading), style="bold"), *(Text(f"• {one_line(item)}") for item in items)]
            )
            parts.append(Padding(body, (1, 0, 0, 0)))
    if message.undo:
        parts.append(
            Padding(Text.assemble(("To undo  ", "bold"), (one_line(message.undo), "bold green")), (1, 0, 0, 0))
        )
    if message.footer:
        parts.append(Padding(Text(one_line(message.footer), style="dim"), (1, 0, 0, 0)))
    title = Text(f" {SYMBOLS[message.severity]} {one_line(message.title)} ", style=f"bold {color}")
    return Panel(Group(*parts), title=title, title_align="left", border_style=color, padding=(1, 2))


def show(message: Message, console: Console) -> None:
    """Prints the message: a box on a terminal, plain text elsewhere."""
    if console.is_terminal:
        console.print(panel(message))
    else:
        console.print(plain_text(message), markup=False, highlight=False, emoji=False, soft_wrap=True)


class TerminalNotifier:
    """Implements `notify.base.Notifier` on a console (by default standard output): for trying a config without Slack. What
    was printed before a restart cannot be looked up."""

    def __init__(self, clock: Clock, console: Console | None = None) -> None:
        from rich.console import Console as StandardConsole

        self._clock, self._console = clock, console or StandardConsole()
        self._shown: dict[str, Receipt] = {}

    @property
    def name(self) -> str:
        """terminal."""
        return "terminal"

    async def send(self, message: Message, *, thread: Receipt | None = None) -> Receipt:
        """Prints it. Raises DeliveryError if the console is gone."""
        try:
            self._console.file.write(_rendered(message, self._console))
            self._console.file.flush()
        except OSError as error:
            raise DeliveryError("the terminal cannot be written to", permanent=False) from error
        receipt = Receipt(thread.channel if thread else message.channel, f"{self._clock.now().timestamp():.6f}")
        self._shown[message.message_id] = receipt
        return receipt

    async def find(self, message: Message, *, thread: Receipt | None = None) -> Receipt | None:
        """Where this process printed it."""
        if (receipt := self._shown.get(message.message_id)) is not None:
            return receipt
        raise DeliveryError("a terminal does not remember what was printed earlier", permanent=True)

    async def check(self, channel: str) -> tuple[str, ...]:
        """Nothing keeps messages from a terminal."""
        return ()

    async def close(self) -> None:
        """Nothing to release."""


def _rendered(message: Message, console: Console) -> str:
    """What `show` prints, as text: printing by rich itself would end the process where the reader of a pipe has gone."""
    from rich.console import Console as StandardConsole

    sheet = io.StringIO()
    color: Any = console.color_system  # typed by rich as any text, taken by it as a few words
    show(
        message,
        StandardConsole(file=sheet, force_terminal=console.is_terminal, width=console.width, color_system=color),
    )
    return sheet.getvalue()


def _listed(heading: str, items: Sequence[str]) -> list[str]:
    return [f"{one_line(heading)}:", *(f"  - {one_line(item)}" for item in items)] if items else []
