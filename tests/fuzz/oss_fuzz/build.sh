#!/bin/bash -eu
# One fuzzer for each target of tests/fuzz/targets.py, with its seeds as the corpus to begin with.
cd "$SRC/flask-corbado-session"
python3 -m pip install --constraint constraints.txt '.[demo,test]'
python3 -m tests.fuzz.oss_fuzz.fuzzers "$SRC" "$OUT"
for fuzzer in "$SRC"/fuzz_*.py; do
    compile_python_fuzzer "$fuzzer" --add-data "$PWD/flask_corbado_session:flask_corbado_session"
done
