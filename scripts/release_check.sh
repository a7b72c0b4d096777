#!/bin/sh
# Check what is in dist/ as a package index will: the metadata, and what is installed with the wheel. Usage: release_check.sh PYTHON
# Lists all that comes with it beside the newest Airflow: dist/sbom.cdx.json for the wheel alone, and
# dist/sbom-extras.cdx.json for the wheel with every extra that goes with the pins of that Airflow.
set -eu

uv=.venv/tools/bin/uv
tools=.venv/release/bin
installed=.tmp/release
airflow=$(sed -n 's/^\(apache-airflow==[0-9.]*\).*/\1/p' requirements/airflow3.txt)
version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' airflow_provider_helpcrunch/__init__.py)

# By its version, not its path: the list names no directory of this machine. Usage: install EXTRAS [OPTION]
install() {
    extras=$1
    shift
    "$uv" pip install --quiet --python "$installed/bin/python" --constraint requirements/airflow3.txt --find-links dist "$@" \
        "$airflow" "airflow-provider-helpcrunch$extras==$version"
}

# Write the SBOM of what is installed, and keep its packages for the audit.
list() {
    "$tools/cyclonedx-py" environment "$installed/bin/python" --output-reproducible --output-file "dist/$1.cdx.json"
    "$uv" pip freeze --python "$installed/bin/python" --quiet | grep -v '^airflow-provider-helpcrunch' >".tmp/$1.txt"
    echo "SBOM: dist/$1.cdx.json, $2: $(wc -l <".tmp/$1.txt") packages and this one"
}

audit() {
    "$tools/pip-audit" --progress-spinner off --disable-pip --no-deps --requirement "$1" >.tmp/pip-audit.txt 2>&1
}

"$tools/twine" check --strict dist/*.whl dist/*.tar.gz

"$uv" venv --quiet --clear --no-project --python "$1" "$installed"
install ""
list sbom "the wheel alone"

wanted=""
for extra in $("$installed/bin/python" -c "from importlib.metadata import metadata
print(*metadata('airflow-provider-helpcrunch').get_all('Provides-Extra'))"); do
    if [ "$extra" = dev ]; then
        continue
    elif install "[$extra]" --dry-run >.tmp/extra.txt 2>&1; then
        wanted=${wanted:+$wanted,}$extra
    elif grep -q "No solution found" .tmp/extra.txt; then
        # Whether this is the extra's fault or ours is found out by tests/packaging/test_release.py.
        echo "[$extra]: NOT IN SBOM AND AUDIT, FOR IT DOES NOT GO WITH THE PINS OF requirements/airflow3.txt"
    else
        cat .tmp/extra.txt
        exit 1
    fi
done
install "[$wanted]"
list sbom-extras "with [$wanted]"

# An index without the list of known vulnerabilities would call everything clean: it must know that of an old release.
echo "jinja2==3.1.2" >.tmp/vulnerable.txt
if audit .tmp/vulnerable.txt || ! grep -q "GHSA-\|PYSEC-\|CVE-" .tmp/pip-audit.txt; then
    echo "pip-audit: SKIPPED, FOR THE DATABASE OF KNOWN VULNERABILITIES CANNOT BE REACHED FROM HERE"
    exit 0
fi
for list in sbom sbom-extras; do
    audit ".tmp/$list.txt" || { cat .tmp/pip-audit.txt; exit 1; }
done
echo "pip-audit: no known vulnerability in the wheel alone or with [$wanted]"
