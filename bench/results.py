"""Rows as a table, as JSON and as plots."""

import json
import statistics
from html import escape
from pathlib import Path

from rows import Row

OURS = "tokenfall"
WIDTH, BAR, LABEL = 720, 26, 150
# With a background of its own a plot can be read wherever it is shown.
STYLE = """<style>
.paper { fill: #fff } text { fill: #222 } path { stroke: #222 }
.ours { fill: #c8532f } .others { fill: #8fb4e3 }
@media (prefers-color-scheme: dark) {
.paper { fill: #16191d } text { fill: #ddd } path { stroke: #ddd }
.others { fill: #44688f }
}
</style>"""


def judge(row: Row) -> tuple[str, bool | None]:
    """How the row stands against what it must, in words, and whether it does; `None` where nothing is asked."""
    if row.most is None:
        return "", None
    ours = statistics.median(row.figures[OURS])
    if row.of is None:
        return f"≤ {row.most:g} {row.unit}", ours <= row.most
    theirs = statistics.median(row.figures[row.of])
    # A proxy can seem to add less than nothing: then there is no ratio, and more than nothing is too much.
    holds = ours <= row.most * max(theirs, 0)
    ratio = f"{ours / theirs:.2f}" if theirs > 0 else "none"
    return f"≤ {row.most:g} × {row.of}: {ratio}", holds


def table(rows: list[Row]) -> str:
    """For a terminal: medians, with the least and the most in brackets."""
    lines = []
    for row in rows:
        words, holds = judge(row)
        verdict = {None: "", True: "  holds", False: "  DOES NOT HOLD"}[holds]
        lines.append(f"{row.title} ({row.unit})  {words}{verdict}")
        for peer, figures in row.figures.items():
            spread = f"[{min(figures):.3f} … {max(figures):.3f}]"
            lines.append(f"    {peer:<18}{statistics.median(figures):>10.3f}  {spread}")
    return "\n".join(lines)


def to_json(rows: list[Row], about: dict) -> str:
    """Every figure of every round, and what was asked of it."""
    return json.dumps({"about": about, "rows": [row_json(row) for row in rows]}, indent=2, ensure_ascii=False) + "\n"


def row_json(row: Row) -> dict:
    words, holds = judge(row)
    figures = {
        peer: {"median": statistics.median(all_), "min": min(all_), "max": max(all_), "rounds": all_}
        for peer, all_ in row.figures.items()
    }
    return {"title": row.title, "unit": row.unit, "must": words, "holds": holds, "figures": figures}


def plot(rows: list[Row], folder: Path) -> None:
    """A picture for each row: a bar for each peer's median, a line from its least to its most."""
    folder.mkdir(exist_ok=True)
    for row in rows:
        name = "".join(c if c.isalnum() else "-" for c in row.title.lower())
        while "--" in name:
            name = name.replace("--", "-")
        (folder / f"{name}.svg").write_text(svg(row))


def svg(row: Row) -> str:
    height = 40 + BAR * len(row.figures)
    most = max(max(max(figures), 0) for figures in row.figures.values()) or 1

    def x(figure: float) -> float:
        return LABEL + (WIDTH - LABEL - 70) * max(figure, 0) / most

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">',
        STYLE,
        f'<rect width="{WIDTH}" height="{height}" class="paper"/>',
        f'<text x="8" y="20" font-weight="bold">{escape(row.title)} ({escape(row.unit)})</text>',
    ]
    for number, (peer, figures) in enumerate(row.figures.items()):
        top = 32 + BAR * number
        middle = statistics.median(figures)
        whose = "ours" if peer == OURS else "others"
        parts += [
            f'<text x="8" y="{top + 14}">{escape(peer)}</text>',
            f'<rect x="{LABEL}" y="{top}" width="{x(middle) - LABEL:.1f}" height="{BAR - 8}" class="{whose}"/>',
            f'<path d="M{x(min(figures)):.1f} {top + 9}H{x(max(figures)):.1f}"/>',
            f'<text x="{x(max(figures)) + 6:.1f}" y="{top + 14}">{middle:.3g}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])
