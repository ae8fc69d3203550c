"""Say what is being done to whom: bars on a terminal, a plain line for each participant elsewhere."""

import datetime
import logging
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

logger = logging.getLogger(__name__)

TOLD = "told"  # mark of a record that stands on stderr already, whatever -v says


def tell(line: str, level: int = logging.INFO) -> None:
    """Print a line on stderr, and keep it in the log file."""
    print(printable(line), file=sys.stderr, flush=True)
    logger.log(level, "%s", line, extra={TOLD: True})


def printable(text: str) -> str:
    """Replace what could steer a terminal: names come from the dataset."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


class Dashboard:
    """Bars over the participants and over the stages of the present one, below a line for each that is finished.

    Without a terminal on stderr, or on one that can't move its cursor, there are the lines alone.

    Parameters
    ----------
    n_participants : int or None
        None for the group level, which has stages only.
    """

    def __init__(self, n_participants: int | None = None):
        self._n = n_participants
        self._begun = 0
        self._participants = _Bar("participants", n_participants)
        self._stages: _Bar | None = None
        self._present: Progress | None = None
        self._live: Live | None = None

    def __enter__(self) -> "Dashboard":
        console = _terminal()
        if console is not None:
            from rich.live import Live

            # What others print meanwhile goes above the bars, unless it is meant for a pipe.
            self._live = Live(
                get_renderable=self._draw,
                console=console,
                refresh_per_second=4,
                transient=True,
                redirect_stdout=sys.stdout.isatty(),
            )
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is KeyboardInterrupt and self._present is not None:
            self._present.finish("stopped, not finished")
        if self._live is not None:
            self._live.stop()

    def begin(self, who: str) -> "Progress":
        """Begin with the next one."""
        self._begun += 1
        position = "" if self._n is None else f"{self._begun}/{self._n} "
        self._stages = _Bar(who, None)
        self._present = Progress(self, f"{position}{who}", self._stages)
        return self._present

    def advance(self, share: float) -> None:
        """Move the bar of the participants to a share of the present one."""
        self._participants.move(self._begun - 1 + share)
        if self._live is not None:
            self._live.refresh()

    def end(self) -> None:
        """Be done with the present one."""
        self._stages = self._present = None
        self.advance(1.0)

    def _draw(self) -> "RenderableType":
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(ratio=3, no_wrap=True, overflow="ellipsis")
        table.add_column(ratio=1)
        for words in ("12/34", "0:12:34", "0:12:34 left"):
            table.add_column(justify="right", no_wrap=True, min_width=len(words))
        for bar in (self._participants if self._n is not None else None, self._stages):
            if bar is not None:
                drawn = ProgressBar(bar.total, bar.done, pulse=bar.total is None)
                table.add_row(Text(printable(bar.label)), drawn, *map(Text, bar.words()))
        return table


class Progress:
    """What is being done to one participant, or to the group; made by :meth:`Dashboard.begin`."""

    def __init__(self, dashboard: Dashboard, who: str, bar: "_Bar"):
        self._dashboard = dashboard
        self._who = who
        self._bar = bar
        self._begun = 0
        self._started_s = time.monotonic()

    def __call__(self, what: str) -> None:
        """Begin a stage."""
        self._begun += 1
        self._bar.label = f"{self._who}: {what}"
        if self._bar.total is not None:
            self._bar.total = max(self._bar.total, self._begun)
        self._bar.move(self._begun - 1)
        self._dashboard.advance((self._begun - 1) / self._bar.total if self._bar.total is not None else 0.0)
        logger.info("%s: %s", self._who, what)

    def expect(self, n_stages: int) -> None:
        """Tell how many stages are to come after the present one."""
        self._bar.total = self._begun + n_stages

    def finish(self, conclusion: str) -> None:
        """Say in a line that stays what came out."""
        self._dashboard.end()
        tell(f"{self._who}: {conclusion} ({time.monotonic() - self._started_s:.0f} s)")


class _Bar:
    """How far something is, and when it will be done if it goes on at the same pace."""

    def __init__(self, label: str, total: int | None):
        self.label = label
        self.total = total
        self.done = 0.0
        self._started_s = time.monotonic()
        self._end_s: float | None = None

    def move(self, done: float) -> None:
        self.done = done
        if done and self.total is not None:
            now_s = time.monotonic()
            self._end_s = now_s + (now_s - self._started_s) * (self.total - done) / done

    def words(self) -> tuple[str, str, str]:
        """Count, time that has passed, time that remains."""
        now_s = time.monotonic()
        count = "" if self.total is None else f"{int(self.done)}/{self.total}"
        # Between two steps it runs down, and stays at 0 when a step takes longer than those before.
        remains = "" if self._end_s is None else f"{_clock(max(0.0, self._end_s - now_s))} left"
        return count, _clock(now_s - self._started_s), remains


def _clock(duration_s: float) -> str:
    return str(datetime.timedelta(seconds=int(duration_s)))


def _terminal() -> "Console | None":
    """Give the terminal behind stderr if bars can be drawn on it."""
    if not sys.stderr.isatty():  # before anything is imported; FORCE_COLOR does not make a terminal of a file
        return None
    from rich.console import Console

    console = Console(stderr=True)
    return console if console.is_terminal and console.is_interactive else None
