"""Text as an attacker would write it into a key's name or a model's slug."""

from __future__ import annotations

from hypothesis import strategies as st

VECTORS = (
    "<!channel> pay up",
    "<@U123ABC>",
    "<https://evil.example|click here>",
    "&lt;!here&gt;",
    "*bold* _it_ ~gone~ `code` ```block```",
    "> quoted",
    ":white_check_mark: resolved",
    "\u202egnp.exe",
    "\x1b[2J\x1b[31mred",
    "[bold red]markup[/bold red]",
    "a\nb\r\nc\u2028d",
    "| cell | cell |",
    "=HYPERLINK('x')",
    "\ud83d\ude00",
    "\N{GRINNING FACE}" * 400,
    "x" * 20_000,
    "a" + "\u0301" * 3_000,
    "\x00\x07\x08",
    "",
)

TEXT = st.one_of(
    st.sampled_from(VECTORS),
    st.text(max_size=300),
    st.text(st.sampled_from("<>&*_~`|:@#![](){}\\\n\t\u202e\u200babcXYZ019 😀漢"), max_size=400),
    st.builds(lambda text, times: text * times, st.text(max_size=20), st.integers(1, 300)),
)
