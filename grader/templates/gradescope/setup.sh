#!/usr/bin/env bash
# Gradescope runs this once, as root, when it builds the autograder's image.
set -euo pipefail
source=${AUTOGRADER_ROOT:-/autograder}/source

# The same Python as where this was exported: in /opt, which a submission may read, and apart from the course.
apt-get update
apt-get install -y curl ca-certificates
curl -LsSf https://astral.sh/uv/install.sh | env UV_INSTALL_DIR=/usr/local/bin sh
export UV_PYTHON_INSTALL_DIR=/opt/python
uv venv --seed --python {{ python }} /opt/grader

# PyPI's torch brings gigabytes of CUDA along; this index has the small build.
/opt/grader/bin/pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu \
    --requirement "$source/requirements.txt" --constraint "$source/constraints.txt"

# What this image can't enforce, it says here: grading refuses for the same reasons.
cd "$source"
/opt/grader/bin/python -m grader.cli doctor --course course || true
