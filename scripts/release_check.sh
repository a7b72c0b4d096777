#!/bin/sh
# Check what is in dist/ as a package index will: the metadata, and what is installed with the wheel. Usage: release_check.sh PYTHON
# Writes dist/sbom.cdx.json, the list of all that comes with the wheel alone beside the newest Airflow.
set -eu

uv=.venv/tools/bin/uv
tools=.venv/release/bin
installed=.tmp/release
airflow=$(sed -n 's/^\(apache-airflow==[0-9.]*\).*/\1/p' requirements/airflow3.txt)

"$tools/twine" check --strict dist/*.whl dist/*.tar.gz

"$uv" venv --quiet --clear --no-project --python "$1" "$installed"
version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' airflow_provider_helpcrunch/__init__.py)
# By its version, not its path: the list names no directory of this machine.
"$uv" pip install --quiet --python "$installed/bin/python" --constraint requirements/airflow3.txt "$airflow" \
    --find-links dist "airflow-provider-helpcrunch==$version"
"$tools/cyclonedx-py" environment "$installed/bin/python" --output-reproducible --output-file dist/sbom.cdx.json
echo "SBOM: dist/sbom.cdx.json"

audit() {
    "$tools/pip-audit" --progress-spinner off --disable-pip --no-deps --requirement "$1" >.tmp/pip-audit.txt 2>&1
}

# An index without the list of known weaknesses would call everything clean: it must know that of an old release.
echo "jinja2==3.1.2" >.tmp/known-weakness.txt
if audit .tmp/known-weakness.txt || ! grep -q "GHSA-\|PYSEC-\|CVE-" .tmp/pip-audit.txt; then
    echo "pip-audit: SKIPPED, FOR THE DATABASE OF KNOWN WEAKNESSES CANNOT BE REACHED FROM HERE"
    exit 0
fi
"$uv" pip freeze --python "$installed/bin/python" --quiet | grep -v '^airflow-provider-helpcrunch' >.tmp/installed.txt
audit .tmp/installed.txt || { cat .tmp/pip-audit.txt; exit 1; }
echo "pip-audit: no known weakness"
