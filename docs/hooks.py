"""Hooks of the site: files from outside docs/ become pages of it, and links between files become links between pages.

All files keep the links that work where they lie in the repository. A link to what is no page of the site, such as a
file of the source, becomes its text.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

DOCS = "docs/"
REPORTS = "benchmarks/results"
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    REPORTS: "results/index.md",
}
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def page_of(path: str) -> str | None:
    """Where on the site a file of the repository is, if it is there."""
    if path.startswith(f"{REPORTS}/"):
        return "results/" + path.removeprefix(f"{REPORTS}/")
    return PAGES.get(path) or (path.removeprefix(DOCS) if path.startswith(DOCS) else None)


def source_of(page: str) -> str:
    """Where in the repository a page of the site is."""
    if page.startswith("results/") and page not in PAGES.values():
        return f"{REPORTS}/" + page.removeprefix("results/")
    return next((path for path, itself in PAGES.items() if itself == page), DOCS + page)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Bring the files from outside docs/ in, and a list of the reports."""
    root = Path(config.config_file_path).parent
    reports = sorted(path for path in (root / REPORTS).iterdir() if path.suffix in {".md", ".svg"})
    pages = PAGES | {f"{REPORTS}/{report.name}": f"results/{report.name}" for report in reports}
    for path, page in pages.items():
        if path != REPORTS:
            files.append(File.generated(config, page, abs_src_path=str(root / path)))
    lines = ["# Frozen reports", "", "What was measured earlier, or tried and left; newest first.", ""]
    for report in reversed(reports):
        if report.suffix == ".md":
            title = report.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
            lines.append(f"- [{title}]({report.name})")
    files.append(File.generated(config, PAGES[REPORTS], content="\n".join(lines)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between files into links between pages."""
    here = page.file.src_uri
    if here == PAGES[REPORTS]:
        return markdown
    folder = posixpath.dirname(source_of(here))

    def turned(link: re.Match[str]) -> str:
        mark, text, target = link.groups()
        path, _, anchor = target.partition("#")
        if not path or ":" in path:
            return link[0]
        there = page_of(posixpath.normpath(posixpath.join(folder, path)))
        if there is None:
            return text
        relative = posixpath.relpath(there, posixpath.dirname(here))
        return f"{mark}[{text}]({relative}{'#' if anchor else ''}{anchor})"

    return LINK.sub(turned, markdown)
