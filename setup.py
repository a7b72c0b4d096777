"""The one piece of metadata that setup.cfg cannot hold: the README, with links that work outside of the clone."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import setup

CLONE = "https://github.com/airflow-provider-helpcrunch/airflow-provider-helpcrunch/blob/main/"

readme = (Path(__file__).parent / "README.md").read_text(encoding="utf-8")
setup(long_description=re.sub(r"\]\((?![a-z]+:|#)", f"]({CLONE}", readme))
