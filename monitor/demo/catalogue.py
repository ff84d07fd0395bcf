"""What the demo world's keys may use: models with prices and providers, countries, apps. Prices are illustrative."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Model:
    """One model: prices in nano-dollars per token (whole multiples of 20, so that a BYOK fee of 5 % is exact).

    `permaslug` is what analytics calls it, `slug` its everyday name; `reasoning_share` of completion tokens."""

    slug: str
    permaslug: str
    prompt_nusd: int
    completion_nusd: int
    providers: tuple[str, ...]
    reasoning_share: float = 0.0

    @property
    def blended_nusd(self) -> int:
        """Nano-dollars of four prompt tokens and one completion token: a rough order of dearness."""
        return 4 * self.prompt_nusd + self.completion_nusd


def _model(slug: str, date: str, usd_per_million: tuple[float, float], providers: str, reasoning: float = 0.0) -> Model:
    prompt, completion = (round(usd * 1000 / 20) * 20 for usd in usd_per_million)
    return Model(slug, f"{slug}-{date}" if date else slug, prompt, completion, tuple(providers.split("|")), reasoning)


MODELS: Final[tuple[Model, ...]] = (
    _model("anthropic/claude-opus-4.8", "20260811", (15, 75), "Anthropic|Amazon Bedrock|Google", 0.3),
    _model("anthropic/claude-opus-4.1", "20250805", (15, 75), "Anthropic|Amazon Bedrock"),
    _model("anthropic/claude-sonnet-5", "20260616", (3, 15), "Anthropic|Amazon Bedrock|Google", 0.2),
    _model("anthropic/claude-sonnet-4.6", "20260217", (3, 15), "Anthropic|Google"),
    _model("anthropic/claude-haiku-4.5", "20251001", (1, 5), "Anthropic|Amazon Bedrock"),
    _model("openai/gpt-5.4-pro", "2026-03-05", (30, 180), "OpenAI", 0.6),
    _model("openai/gpt-5.2", "2025-12-11", (1.76, 14), "OpenAI|Azure", 0.4),
    _model("openai/gpt-5-mini", "2025-08-07", (0.26, 2), "OpenAI|Azure", 0.4),
    _model("openai/gpt-5-nano", "2025-08-07", (0.06, 0.4), "OpenAI|Azure", 0.3),
    _model("openai/gpt-4.1", "2025-04-14", (2, 8), "OpenAI|Azure"),
    _model("openai/gpt-4o", "2024-11-20", (2.5, 10), "OpenAI|Azure"),
    _model("openai/gpt-4o-mini", "2024-07-18", (0.16, 0.6), "OpenAI|Azure"),
    _model("openai/o3-pro", "2025-06-10", (20, 80), "OpenAI", 0.7),
    _model("openai/gpt-oss-120b", "", (0.06, 0.26), "DeepInfra|Groq|Fireworks", 0.3),
    _model("google/gemini-3.1-pro-preview", "20260219", (2, 12), "Google|Google AI Studio", 0.4),
    _model("google/gemini-2.5-pro", "", (1.26, 10), "Google|Google AI Studio", 0.4),
    _model("google/gemini-3-flash-preview", "20251217", (0.5, 3), "Google|Google AI Studio", 0.2),
    _model("google/gemini-2.5-flash-lite", "", (0.1, 0.4), "Google|Google AI Studio"),
    _model("x-ai/grok-4.5", "20260512", (3, 15), "xAI", 0.5),
    _model("x-ai/grok-4.1-fast", "", (0.2, 0.5), "xAI", 0.3),
    _model("deepseek/deepseek-v3.2", "20251201", (0.26, 0.38), "DeepSeek|SiliconFlow|Novita"),
    _model("qwen/qwen3-coder-plus", "", (1, 5), "Alibaba"),
    _model("qwen/qwen3.5-plus-02-15", "20260216", (0.4, 2.4), "Alibaba"),
    _model("z-ai/glm-5.1", "20260402", (0.94, 3.16), "Z.AI|Novita|Fireworks", 0.3),
    _model("moonshotai/kimi-k2.5", "0127", (0.5, 2.8), "Moonshot AI|Together|Fireworks", 0.2),
    _model("minimax/minimax-m2.5", "20260211", (0.3, 1.2), "Minimax|Novita"),
    _model("mistralai/mistral-large-2512", "", (0.5, 1.5), "Mistral"),
    _model("meta-llama/llama-3.3-70b-instruct", "", (0.12, 0.38), "DeepInfra|Together|Groq"),
)

DEAR: Final = tuple(model.permaslug for model in MODELS if model.blended_nusd >= 100_000)
"""Frontier models that few keys use: what a thief goes for."""

COUNTRIES: Final[tuple[tuple[str, str, float], ...]] = (
    ("US", "America/New_York", 0.30),
    ("DE", "Europe/Berlin", 0.16),
    ("IN", "Asia/Kolkata", 0.12),
    ("GB", "Europe/London", 0.11),
    ("BR", "America/Sao_Paulo", 0.06),
    ("FR", "Europe/Paris", 0.06),
    ("JP", "Asia/Tokyo", 0.05),
    ("CA", "America/Toronto", 0.05),
    ("SG", "Asia/Singapore", 0.04),
    ("PL", "Europe/Warsaw", 0.03),
    ("AU", "Australia/Sydney", 0.02),
)
"""Where honest keys are used from: ISO 3166 code, time zone of its offices, share of the keys."""

ABROAD: Final = ("VN", "RU", "HK", "PK", "ID", "NG", "UA", "TH", "TR", "MA")
"""Countries seldom or never seen in the fleet."""

TOOLS: Final = ("Cline", "Claude Code", "Cursor", "Roo Code", "Kilo Code", "Open WebUI", "LibreChat", "n8n", "liteLLM")
"""App titles that client programs send."""

RELAYS: Final = ("one-api", "New API", "SillyTavern", "Chatbox", "Janitor AI")
"""App titles of programs often seen in resale of keys, and in private use."""

TEAMS: Final = ("harbor", "juniper", "orchard", "ridge", "inkwell", "vector", "fable", "tundra")
"""Teams of the account, also the names of their products' app titles."""
