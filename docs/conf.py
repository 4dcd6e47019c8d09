"""How Sphinx builds these pages: `make docs`."""

project = "SecureNet"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "screenshots"]
html_theme = "furo"
html_title = "SecureNet"
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
suppress_warnings = ["misc.highlighting_failure"]  # a shell function over several lines is shown as plain text
