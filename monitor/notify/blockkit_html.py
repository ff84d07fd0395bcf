"""Blocks as Slack shows them, as one HTML page: on a telephone and on a desktop, light and dark. For eyes before anything is sent.

Near enough to judge by, not to the pixel. Nothing is loaded from anywhere: the picture is inside the page. Pure."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

_BOLD: Final = re.compile(r"(?<![\w*])\*([^*\n]+)\*(?![\w*])")
_ANGLE: Final = re.compile(r"(<[^<>\n]+>)")
_CODE: Final = re.compile(r"`([^`\n]+)`")

_STYLE: Final = """
body{margin:0;padding:24px;background:#6b6b6b;font:15px/1.46 Lato,"Helvetica Neue",Arial,sans-serif}
.panes{display:flex;flex-wrap:wrap;gap:24px;align-items:flex-start}
.pane{--bg:#fff;--ink:#1d1c1d;--pale:#616061;--line:#ddd;--code:#c7184f;--code-bg:#f6f6f6;--red:#e01e5a;--blue:#1264a3;
background:var(--bg);color:var(--ink);border-radius:10px;padding:16px 20px;box-sizing:border-box}
.dark{--bg:#1a1d21;--ink:#d1d2d3;--pale:#ababad;--line:#4a4d52;--code:#e8912d;--code-bg:#222529;--red:#f2647f;--blue:#1d9bd1}
.phone{width:390px}.desktop{width:720px}.phone,.desktop,.push{max-width:100%}
h1{color:#fff;font-size:15px;margin:0 0 12px}
.who{display:flex;gap:10px}.face{flex:none;width:36px;height:36px;border-radius:8px;background:#1f2937}
.name{font-weight:900}.name small{font-weight:400;color:var(--pale);padding-left:8px}
.app{font-size:10px;background:var(--line);padding:1px 4px;border-radius:3px;margin-left:6px}
.message{min-width:0;flex:1;margin-bottom:20px}
h2{font-size:18px;line-height:1.3;margin:6px 0 8px}p{margin:0 0 8px;overflow-wrap:anywhere}
.fields{display:grid;grid-template-columns:1fr 1fr;gap:8px 16px;margin:0 0 10px}.phone .fields{grid-template-columns:1fr}
.fields div{overflow-wrap:anywhere}img{max-width:100%;border-radius:8px;display:block;margin:4px 0 10px}
.desktop img{max-width:480px}
.actions{display:flex;flex-wrap:wrap;gap:8px;margin:6px 0 10px}
.actions span{border:1px solid var(--pale);border-radius:4px;padding:4px 12px;font-weight:700;font-size:14px}
.actions .danger{color:var(--red);border-color:var(--red)}
.link{color:var(--blue)}.context{font-size:12px;color:var(--pale);overflow-wrap:anywhere}hr{border:0;border-top:1px solid var(--line)}
code{font:12px Monaco,Menlo,Consolas,monospace;color:var(--code);background:var(--code-bg);border:1px solid var(--line);
border-radius:3px;padding:2px 3px}
.push{background:#2b2d31;color:#fff;border-radius:14px;padding:10px 14px;width:390px;box-sizing:border-box;margin-bottom:24px;
font-size:13px}.push b{display:block;font-size:12px;color:#bbb}
"""


def page(messages: Sequence[tuple[str, Sequence[Mapping[str, Any]]]], *, picture: bytes | None = None) -> str:
    """The page for (text, blocks) of each message in order; `picture` stands wherever a block shows a file."""
    source = f"data:image/png;base64,{base64.b64encode(picture).decode()}" if picture else ""
    shown = "".join(_message(blocks, source) for _, blocks in messages)
    panes = "".join(
        f'<section class="pane {size} {tone}" aria-label="{size}, {tone}">{shown}</section>'
        for size in ("phone", "desktop")
        for tone in ("light", "dark")
    )
    first = html.escape(_plain(messages[0][0])[:178]) if messages else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>openrouter-monitor: preview</title>'
        '<meta name="viewport" content="width=device-width">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
        f"<style>{_STYLE}</style></head><body><main><h1>As Slack shows it</h1>"
        f'<div class="push"><b>As a notification</b>{first}</div><div class="panes">{panes}</div></main></body></html>'
    )


def _message(blocks: Sequence[Mapping[str, Any]], source: str) -> str:
    body = "".join(_block(block, source) for block in blocks)
    name = '<div class="name">openrouter-monitor<span class="app">APP</span><small>9:41</small></div>'
    return f'<div class="who"><div class="face"></div><div class="message">{name}{body}</div></div>'


def _block(block: Mapping[str, Any], source: str) -> str:
    kind = block.get("type")
    if kind == "header":
        return f"<h2>{_text(block['text'])}</h2>"
    if kind == "section":
        text = f"<p>{_text(block['text'])}</p>" if "text" in block else ""
        fields = "".join(f"<div>{_text(field)}</div>" for field in block.get("fields", ()))
        return text + (f'<div class="fields">{fields}</div>' if fields else "")
    if kind == "context":
        return "".join(f'<p class="context">{_text(each)}</p>' for each in block["elements"])
    if kind == "actions":
        return f'<div class="actions">{"".join(_element(each) for each in block["elements"])}</div>'
    if kind == "image":
        address = html.escape(source or str(block.get("image_url", "")), quote=True)
        return f'<img src="{address}" alt="{html.escape(str(block["alt_text"]), quote=True)}">'
    return "<hr>" if kind == "divider" else f"<p>({html.escape(str(kind))})</p>"


def _element(element: Mapping[str, Any]) -> str:
    label = _text(element.get("text") or element.get("placeholder") or {})
    if element.get("type") == "static_select":
        return f"<span>{label} ▾</span>"
    return f'<span class="{"danger" if element.get("style") == "danger" else ""}">{label}</span>'


def _text(text: Mapping[str, Any]) -> str:
    """A text object: plain, or the little of mrkdwn that we write."""
    if text.get("type") != "mrkdwn":
        return html.escape(str(text.get("text", "")))
    return "".join(_mrkdwn(part) for part in _ANGLE.split(str(text["text"])))


def _mrkdwn(part: str) -> str:
    """Slack's own links and mentions stand in angle brackets; text from outside never does, as its brackets are entities."""
    if part.startswith("<") and part.endswith(">"):
        label = part[1:-1].rpartition("|")[2]
        return f'<span class="link">{html.escape(_plain(label), quote=False)}</span>'
    safe = html.escape(_plain(part), quote=False)
    safe = _CODE.sub(r"<code>\1</code>", safe)
    return _BOLD.sub(r"<b>\1</b>", safe).replace("\n", "<br>")


def _plain(text: str) -> str:
    """Without Slack's own three entities."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
