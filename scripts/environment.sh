#!/bin/sh
# Make one of the environments below .venv from its lock file.
# Usage: environment.sh tools|airflow3|airflow2|distributed|foreign|docs|ui|release PYTHON
# Quiet when all goes well; otherwise the installer's own words, or one sentence that says what to do.
set -eu

name=$1
python=$2
tools=.venv/tools
log=.tmp/environment-$name.txt

fail() {
    echo "$1" >&2
    exit 1
}

run() {
    "$@" >"$log" 2>&1 || {
        cat "$log" >&2
        fail "Could not make the environment .venv/$name: the lines above say why."
    }
}

require_python() {
    command -v "$python" >/dev/null ||
        fail "There is no command '$python'. Install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "'$python' is $("$python" -V 2>&1); Python 3.11 or newer is needed. Name one: make PYTHON=python3.11"
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "'$python' cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv"
}

make_tools() {
    require_python
    rm -rf "$tools"
    run "$python" -m venv "$tools"
    run "$tools/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
}

# Airflow 2.11 does not install on Python 3.13, so another interpreter is looked for where the usual one is newer.
python_for_airflow2() {
    if "$python" -c 'import sys; sys.exit(sys.version_info >= (3, 13))'; then
        command -v "$python"
    else
        "$tools/bin/uv" python find --no-project --system '>=3.11,<3.13' 2>/dev/null
    fi
}

make_airflow() {
    interpreter=$1
    ".venv/$name/bin/python" -c "" 2>/dev/null ||
        run "$tools/bin/uv" venv --quiet --clear --no-project --python "$interpreter" ".venv/$name"
    run "$tools/bin/uv" pip sync --quiet --require-hashes --python ".venv/$name/bin/python" "requirements/$name.txt"
    run "$tools/bin/uv" pip install --quiet --no-deps --no-build-isolation --python ".venv/$name/bin/python" -e .
    run "$tools/bin/uv" pip check --python ".venv/$name/bin/python"
}

# Without the package: its requirement, Airflow, is not there. What runs in it runs in the clone.
make_without_package() {
    ".venv/$name/bin/python" -c "" 2>/dev/null ||
        run "$tools/bin/uv" venv --quiet --clear --no-project --python "$(command -v "$python")" ".venv/$name"
    run "$tools/bin/uv" pip sync --quiet --require-hashes --python ".venv/$name/bin/python" "requirements/$name.txt"
    run "$tools/bin/uv" pip check --python ".venv/$name/bin/python"
}

mkdir -p .venv .tmp "$HOME"
case $name in
tools)
    make_tools
    ;;
airflow3 | distributed | foreign)
    echo "Making .venv/$name (once per lock file) ..." >&2
    require_python
    make_airflow "$(command -v "$python")"
    ;;
airflow2)
    echo "Making .venv/airflow2 (once per lock file) ..." >&2
    require_python
    interpreter=$(python_for_airflow2) ||
        fail "Airflow 2.11 needs Python 3.11 or 3.12, and neither was found. Name one: make test-airflow2 PYTHON=python3.12"
    make_airflow "$interpreter"
    ;;
docs | ui)
    echo "Making .venv/$name (once per lock file) ..." >&2
    require_python
    make_without_package
    ;;
release)
    require_python
    run "$tools/bin/uv" venv --quiet --clear --no-project --python "$(command -v "$python")" .venv/release
    run "$tools/bin/uv" pip sync --quiet --require-hashes --python .venv/release/bin/python requirements/release.txt
    ;;
constraints-*)
    echo "Making .venv/$name (once per constraints file) ..." >&2
    require_python
    interpreter=$(python_for_airflow2) || fail "Airflow 3.0 needs Python 3.11 or 3.12: name one with PYTHON=python3.12"
    run "$tools/bin/uv" venv --quiet --clear --no-project --python "$interpreter" ".venv/$name"
    run "$tools/bin/uv" pip install --quiet --python ".venv/$name/bin/python" --constraint "requirements/$name.txt" \
        "apache-airflow==${name#constraints-}" -e ".[sandbox,parquet,redis]" pytest pytest-xdist hypothesis requests-mock jsonschema zstandard
    ;;
*)
    fail "Unknown environment: $name"
    ;;
esac
